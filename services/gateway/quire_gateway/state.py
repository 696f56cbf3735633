"""What the routes share while the gateway runs."""

from dataclasses import dataclass
from typing import Annotated

import asyncpg
import httpx
from fastapi import Depends, Request

from quire_runtime.outbox import Relay
from quire_runtime.service import Service
from quire_runtime.storage import Store

from .feed import Feed
from .receive import Receiver
from .recovery.sweep import Sweeper
from .recovery.waiting import Pace
from .settings import GatewaySettings


@dataclass(frozen=True)
class Gateway:
    """The running gateway."""

    service: Service[GatewaySettings]
    pool: asyncpg.Pool
    store: Store
    relay: Relay
    feed: Feed
    receiver: Receiver
    search: httpx.AsyncClient
    sweeper: Sweeper
    pace: Pace
    cursor_secret: str


def running_gateway(request: Request) -> Gateway:
    """The gateway that serves a request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


Running = Annotated[Gateway, Depends(running_gateway)]
