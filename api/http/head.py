"""HEAD: the answer to GET without its body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Answers HEAD by the route of GET, and sends the status and the headers of that.

    Parameters
    ----------
    app : ASGIApp
        What answers GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on, one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        done = False

        async def receive_until_done() -> Message:
            # A stream would go on for ever: for it the reader leaves once the headers are told.
            return {"type": "http.disconnect"} if done else await receive()

        async def send_head(message: Message) -> None:
            nonlocal done
            if message["type"] == "http.response.start":
                done = True
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._app({**scope, "method": "GET"}, receive_until_done, send_head)
