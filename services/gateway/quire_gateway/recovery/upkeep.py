"""/admin/sweep, /admin/reconcile and /admin/rebuild-index: what an operator does when something was lost."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from quire_gateway.auth import Operator
from quire_gateway.problems import RESPONSES, Problem
from quire_gateway.state import Running

from . import lines, sweep
from .differences import Difference
from .rebuild import Rebuilt, rebuild
from .reconcile import Reconciliation, Summary

router = APIRouter(responses=RESPONSES)


class Confirmation(BaseModel):
    """That it is meant."""

    model_config = ConfigDict(extra="forbid")

    confirm: Literal[True]


@router.post("/admin/sweep")
async def sweep_now(caller: Operator, gateway: Running) -> sweep.Swept:
    """Look for stuck documents now, help them on, and do the chores that are due."""
    try:
        done = await gateway.sweeper.sweep()
    except sweep.NO_BROKER as error:
        detail = f"The broker does not say what waits on it: {type(error).__name__}"
        raise Problem(503, "broker_unavailable", detail, headers={"Retry-After": "5"}) from error
    if done is None:
        raise Problem(409, "busy", "A gateway is sweeping at this moment.")
    return done


@router.post(
    "/admin/reconcile",
    response_class=lines.Lines,
    responses={200: {"model": lines.Progress | Difference | Summary | lines.Failed, "description": "One a line"}},
)
async def reconcile(
    caller: Operator,
    gateway: Running,
    repair: Annotated[bool, Query(description="Mend what can be mended")] = False,
    checksums: Annotated[bool, Query(description="Read every content and compare its SHA-256")] = False,
) -> lines.Lines:
    """Compare catalog, index and store: lines of progress, one for each difference, and a summary at the end."""
    walk = Reconciliation(gateway, caller.key, mend=repair, checksums=checksums)
    return await lines.answer(walk.lines())


@router.post(
    "/admin/rebuild-index",
    response_class=lines.Lines,
    responses={200: {"model": lines.Progress | Rebuilt | lines.Failed, "description": "One a line"}},
)
async def rebuild_index(caller: Operator, gateway: Running, confirmation: Confirmation) -> lines.Lines:
    """Empty the index and make it anew from the event log, while queries go on: lines of progress, then a summary."""
    return await lines.answer(rebuild(gateway, caller.key))
