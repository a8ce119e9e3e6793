"""Ways between servers under test that can be cut: nothing passes, and nobody is told, as where a cable is pulled."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Final, Self

HOST: Final = "127.0.0.1"


class Ways:
    """Ports that lead to other ports of this machine; each may be cut, and mended."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Event] = {}
        self._servers: list[asyncio.Server] = []
        begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(begun)), daemon=True)
        self._thread.start()
        begun.wait()

    async def _live(self, begun: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        begun.set()
        await self._over.wait()
        for server in self._servers:
            server.close()

    def add(self, name: str, port: int) -> int:
        """A way to a port, by which what is at its end is not found otherwise; the port where it begins."""
        listening = socket.create_server((HOST, 0))
        asyncio.run_coroutine_threadsafe(self._begin(name, listening, port), self._loop).result()
        return int(listening.getsockname()[1])

    def cut(self, *names: str) -> None:
        """Let nothing pass any more."""
        for name in names:
            self._loop.call_soon_threadsafe(self._open[name].clear)

    def mend(self, *names: str) -> None:
        """Let pass what waits, and all that comes."""
        for name in names:
            self._loop.call_soon_threadsafe(self._open[name].set)

    async def _begin(self, name: str, listening: socket.socket, port: int) -> None:
        self._open[name] = is_open = asyncio.Event()
        is_open.set()

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    await is_open.wait()
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends = [writer]
            with suppress(OSError, asyncio.CancelledError):
                try:
                    await is_open.wait()
                    there = await asyncio.open_connection(HOST, port)
                    ends.append(there[1])
                    await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))
                finally:
                    for end in ends:
                        end.transport.abort()

        self._servers.append(await asyncio.start_server(accept, sock=listening))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
