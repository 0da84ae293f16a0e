"""A TCP proxy between Kaimen and a server: it cuts a connection when it has passed on certain bytes."""

import asyncio
from contextlib import suppress


class TcpProxy:
    """``cut_after`` names bytes; the next ``cuts`` connections that send them are cut right after, reply unread."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut_after = b""
        self.cuts = 0
        self.delay_s = 0.0
        self.port = 0

    async def __aenter__(self) -> "TcpProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        downward = asyncio.create_task(self._pass_down(there, writer))
        upward = asyncio.create_task(self._pass_up(reader, back, downward))
        try:
            await asyncio.wait([upward])
        finally:
            for part in (downward, upward):
                part.cancel()
            await asyncio.gather(downward, upward, return_exceptions=True)
            for end in (writer, back):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass_down(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await asyncio.sleep(self.delay_s)
                target.write(data)
                await target.drain()
        target.close()

    async def _pass_up(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, downward: "asyncio.Task[None]"
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await asyncio.sleep(self.delay_s)
                is_last = self.cuts > 0 and self.cut_after in data
                if is_last:
                    self.cuts -= 1
                    downward.cancel()  # no reply to this
                target.write(data)
                await target.drain()
                if is_last:
                    await asyncio.sleep(0.05)  # the server has it, and does it
                    return
