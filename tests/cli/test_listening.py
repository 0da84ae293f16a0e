"""What waits to be accepted, while a process is busy or starts."""

import socket
import struct
from pathlib import Path

from cli.serving import BACKLOG, bind

QUEUE_MAX = struct.Struct("=28xI")  # tcpi_sacked: of a listening socket, how many connections may wait (tcp(7))


def test_as_many_connections_may_wait_as_the_kernel_allows() -> None:
    (listener,) = bind("127.0.0.1", 0)
    with listener:
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, QUEUE_MAX.size)
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert QUEUE_MAX.unpack(info) == (min(BACKLOG, allowed),)
