"""Pace: bodies of requests come at a pace; how large they may be is a matter of their route."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST: Final = 64_000
"""Of a form or a JSON document [bytes]; a route that takes more says so by its ``max_body_size``."""
PATIENCE: Final = 20.0
"""Time for a body to arrive [s], to which comes a second for each `SLOWEST` bytes."""
SLOWEST: Final = 8_000
"""[bytes/s]"""


class Pace:
    """Refuses bodies that trickle in (408): a few hundred of them would hold the server.

    Parameters
    ----------
    app : ASGIApp
        What is protected.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request, with an eye on its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = asyncio.get_running_loop().time()
        received = 0
        complete = False

        async def receive_in_time() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(begin + PATIENCE + received / SLOWEST):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body came too slowly.", {"Connection": "close"}) from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
