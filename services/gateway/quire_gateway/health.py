"""/api/v1/health and /api/v1/readiness, for load balancers and people."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from .state import Running

router = APIRouter()

ESSENTIAL = ("database",)
"""Without these no upload can be answered; without the others it can."""


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readiness")
async def readiness(gateway: Running) -> JSONResponse:
    """Whether requests can be served, and the state of everything the gateway leans on."""
    checks = await gateway.service.readiness()
    ready = all(checks.get(name) == "ok" for name in ESSENTIAL)
    well = all(outcome == "ok" for outcome in checks.values())
    status = "ready" if well else "degraded" if ready else "not ready"
    return JSONResponse({"status": status, "checks": checks}, 200 if ready else 503)
