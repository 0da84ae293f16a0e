"""A request's head takes no longer than ``HEAD_S``, however slowly it trickles in, and nobody is idle for ``IDLE_S``.

Tornado has one limit for both, a timer for each request: a proxy keeps an idle connection for a minute, a head must
not take as long. So the connections are looked over once a second; nothing of it is on the way of a request.
"""

from typing import Any

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.iostream import IOStream

from handlers.accepting import PatientServer

HEAD_S = 10.0
IDLE_S = 75.0
LOOK_MS = 1000.0


class Server(PatientServer):
    """With these limits."""

    _waiting: dict[Any, tuple[tuple[bool, int], float]]  # stream → what it waits in, since when
    _looking: PeriodicCallback | None = None

    def add_sockets(self, sockets: Any) -> None:
        """Accepts connections, and looks after them."""
        super().add_sockets(sockets)
        self.conn_params.header_timeout = None
        if self._looking is None:
            self._waiting = {}
            self._looking = PeriodicCallback(self.close_slow, LOOK_MS)
            self._looking.start()

    def stop(self) -> None:
        """No new connections; those that are there end as they like."""
        super().stop()
        if self._looking:
            self._looking.stop()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """A reply is one write: it never waits for another, and Tornado need not say so for each."""
        stream.set_nodelay(True)
        stream.set_nodelay = _leave_it  # type: ignore[method-assign]
        super().handle_stream(stream, address)

    def close_slow(self) -> None:
        """Closes connections that wait for the rest of a head since ``HEAD_S``, or for a new one since ``IDLE_S``."""
        now, waiting = IOLoop.current().time(), {}
        for stream in [connection.stream for connection in self._connections]:
            if stream._read_regex is None:  # not in a head
                continue
            state = (stream._read_buffer_size > 0, stream._total_write_index)  # another one after each reply
            before = self._waiting.get(stream)
            waiting[stream] = before if before and before[0] == state else (state, now)
            if now - waiting[stream][1] > (HEAD_S if state[0] else IDLE_S):
                stream.close()
        self._waiting = waiting


def _leave_it(value: bool) -> None:
    """Instead of two system calls a request."""
