"""A server that takes a rest when it cannot accept, where Tornado's would try again at once, for ever.

Without descriptors left, ``accept`` fails while the connection stays in the queue: the event loop finds it there in
each turn, takes a whole core and fills the log.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from typing import Any

from tornado.httpserver import HTTPServer

from core.observe import metrics
from core.observe.logs import get_logger

AT_ONCE = 128
REST_S = 0.5
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class PatientServer(HTTPServer):
    """Accepts by ``_Acceptor``."""

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """See ``TCPServer``."""
        for listener in sockets:
            self._sockets[listener.fileno()] = listener
            self._handlers[listener.fileno()] = _Acceptor(listener, self._handle_connection).stop


class _Acceptor:
    def __init__(self, listener: socket.socket, take: Callable[[socket.socket, Any], None]) -> None:
        self._listener = listener
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._loop.add_reader(listener.fileno(), self._accept)

    def stop(self) -> None:
        """Accepts no more."""
        if self._resting:
            self._resting.cancel()
        self._loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._rest(error.errno)
                return
            self._take(connection, address)

    def _rest(self, number: int) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._resting = self._loop.call_later(REST_S, self._go_on)
        metrics.ACCEPT_RESTS.inc()
        get_logger().warning("cannot accept connections", cause=errno.errorcode[number])

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listener.fileno(), self._accept)
