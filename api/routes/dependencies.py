"""What FastAPI hands to the routes that ask for it."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Header
from starlette.requests import Request

from api.direct import ROLLOUT_KEY
from api.services import Services


async def services_of(request: Request) -> Services:
    """The services of the application that this request came to; a coroutine, as others are sent to a thread."""
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(services_of)]
RolloutKey = Annotated[
    str | None, Header(alias=ROLLOUT_KEY, description="Requests with the same one get the same side of a rollout.")
]
