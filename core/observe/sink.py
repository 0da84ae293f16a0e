"""Where log lines go: standard output, which never fails a request and never makes one wait.

Lines are gathered for a moment and written together. What cannot be written now waits, up to a bound; what finds
the bound reached, or an output that fails, is dropped and counted.
"""

import asyncio
import atexit
import contextlib
import os
import socket
import stat
import sys
from collections import deque
from collections.abc import Callable

from core.observe import metrics

GATHER_S = 0.02
WAITING_MAX = 1024 * 1024  # characters

Write = Callable[[bytes], int]


class Sink:
    """``write(line)``; ``urgent`` lines do not wait for company. Raises nothing."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._size = 0
        self._rest = b""  # of a write that the output took in part
        self._timer: asyncio.TimerHandle | None = None
        self._write: Write | None = None
        atexit.register(self.flush)

    def write(self, line: str, *, urgent: bool = False) -> None:
        """A line with its end."""
        if self._size >= WAITING_MAX:
            metrics.LOG_DROPPED.inc()
            return
        self._lines.append(line)
        self._size += len(line)
        if urgent or not self._later():
            self.flush()

    def flush(self) -> None:
        """Writes what the output takes now."""
        self._timer = None
        count = len(self._lines)
        data = self._rest + "".join(self._lines).encode(errors="replace")
        self._lines.clear()
        self._size, self._rest = 0, b""
        if not data:
            return
        try:
            self._rest = data[self._output(data) :]
        except BlockingIOError:
            self._rest = data
        except (OSError, ValueError):  # full, gone, or closed
            metrics.LOG_DROPPED.inc(by=count)
        self._size = len(self._rest)
        if self._rest:
            self._later()

    def _later(self) -> bool:
        """False without an event loop."""
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.flush)
            except RuntimeError:
                return False
        return True

    def _output(self, data: bytes) -> int:
        if sys.stdout is not sys.__stdout__:  # redirected for a while
            sys.stdout.write(data.decode())
            sys.stdout.flush()
            return len(data)
        if self._write is None:
            self._write = _without_waiting(1)
        return self._write(data)


def _without_waiting(descriptor: int) -> Write:
    """A write that raises ``BlockingIOError`` where it would have to wait for a reader.

    The descriptor itself stays as it is: others (a shell, a parent) share its flags. A pipe or terminal is opened
    anew, a socket (journald's) is asked call by call; files and devices never wait.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        connection = socket.socket(fileno=os.dup(descriptor))
        return lambda data: connection.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        with contextlib.suppress(OSError):  # not ours to open: then it waits, as any program's output does
            descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return lambda data: os.write(descriptor, data)
