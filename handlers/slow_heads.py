"""A request's head takes no longer than ``HEAD_S``, however slowly it trickles in.

Tornado has one limit for both: an idle connection, which a proxy keeps for a minute, and a head that is on its way.
So the connections are looked over once a second: who has sent the beginning of a head, and not its end for that long,
is cut off. Nothing of it is on the way of a request.
"""

from typing import Any

from tornado.ioloop import PeriodicCallback

from handlers.accepting import PatientServer

HEAD_S = 10.0
LOOK_MS = 1000.0


class Server(PatientServer):
    """With that limit."""

    _slow_since: dict[Any, float]
    _looking: PeriodicCallback | None = None

    def add_sockets(self, sockets: Any) -> None:
        """Accepts connections, and looks after them."""
        super().add_sockets(sockets)
        if self._looking is None:
            self._slow_since = {}
            self._looking = PeriodicCallback(self.close_slow, LOOK_MS)
            self._looking.start()

    def stop(self) -> None:
        """No new connections; those that are there end as they like."""
        super().stop()
        if self._looking:
            self._looking.stop()

    def close_slow(self) -> None:
        """Closes connections whose head began ``HEAD_S`` ago."""
        slow: dict[Any, float] = {}
        for stream in [connection.stream for connection in self._connections]:
            if stream._read_regex is None or not stream._read_buffer_size:  # not in a head
                continue
            now = stream.io_loop.time()
            slow[stream] = self._slow_since.get(stream, now)
            if now - slow[stream] > HEAD_S:
                stream.close()
        self._slow_since = slow
