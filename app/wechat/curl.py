"""libcurl's multi interface on the running event loop, with nothing in between.

Tornado's client sets up a handle anew for each request, reads ten figures of each reply and changes timers
several times: half of what a call costs. Here a handle is set up once, and one timer serves all.
See https://curl.se/libcurl/c/libcurl-multi.html, "multi_socket".
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pycurl

_MASKS = {pycurl.POLL_IN: (True, False), pycurl.POLL_OUT: (False, True), pycurl.POLL_INOUT: (True, True)}


@dataclass(frozen=True, slots=True)
class Reply:
    """``errno`` of libcurl, 0 if there is a whole reply; then its HTTP status and its body."""

    errno: int
    status: int = 0
    body: bytes = b""


CLOSED = Reply(pycurl.E_ABORTED_BY_CALLBACK)


class _Handle:
    """An easy handle with what it has received."""

    __slots__ = ("chunks", "curl", "future", "method", "sent")

    def __init__(self, method: str) -> None:
        self.curl = pycurl.Curl()
        self.curl.handle = self
        self.method = method
        self.chunks: list[bytes] = []
        self.sent = False
        self.future: asyncio.Future[Reply] | None = None
        self.curl.setopt(pycurl.NOSIGNAL, 1)
        self.curl.setopt(pycurl.WRITEFUNCTION, self.chunks.append)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._send_once)
        if method == "POST":
            self.curl.setopt(pycurl.POST, 1)

    def _send_once(self, *_addresses: object) -> int:
        """Lets a request out once.

        libcurl silently sends it again when a kept-alive connection breaks before the first byte of the reply,
        whether or not the server had read it: a code would be spent twice.
        """
        if self.sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.sent = True
        return int(pycurl.PREREQFUNC_OK)


class Curl:
    """``await perform(…)``; ``set_up(curl, method)`` sets what is the same in all requests."""

    def __init__(self, set_up: Callable[[Any, str], None], *, max_connections: int) -> None:
        self._set_up = set_up
        self._idle: dict[str, list[_Handle]] = {"GET": [], "POST": []}
        self._busy: set[_Handle] = set()
        self._watched: dict[int, tuple[bool, bool]] = {}
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._starting = False
        self._multi: Any = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_due)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections)

    def close(self) -> None:
        """Closes the connections; calls under way fail."""
        for handle in list(self._busy):
            self._finish(handle, CLOSED)
        for fd in list(self._watched):
            self._unwatch(fd)
        if self._timer:
            self._timer.cancel()
        self._multi.close()

    @property
    def under_way(self) -> int:
        """Requests that have not ended, whether or not anybody still waits."""
        return len(self._busy)

    def perform(
        self, method: str, url: str, body: bytes | None, timeout_s: float, headers: list[str] | None = None
    ) -> "asyncio.Future[Reply]":
        """``method``: GET or POST; ``headers``, as lines, where they are not the same in all requests.

        Whoever stops waiting does not stop the request.
        """
        handle = self._idle[method].pop() if self._idle[method] else self._new_handle(method)
        handle.sent = False
        handle.future = future = asyncio.get_running_loop().create_future()
        curl = handle.curl
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(timeout_s * 1000)))
        if body is not None:
            curl.setopt(pycurl.POSTFIELDS, body)
        if headers is not None:
            curl.setopt(pycurl.HTTPHEADER, headers)
        self._busy.add(handle)
        self._starting = True
        self._multi.add_handle(curl)
        self._starting = False
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        return future

    def _new_handle(self, method: str) -> _Handle:
        handle = _Handle(method)
        self._set_up(handle.curl, method)
        return handle

    def _act(self, fd: int, mask: int) -> None:
        """Lets libcurl go on, and hands out what is complete."""
        self._multi.socket_action(fd, mask)
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            for curl in done:
                status = curl.getinfo(pycurl.RESPONSE_CODE)
                self._finish(curl.handle, Reply(0, status, b"".join(curl.handle.chunks)))
            for curl, errno, _ in failed:
                self._finish(curl.handle, Reply(errno))

    def _finish(self, handle: _Handle, reply: Reply) -> None:
        self._multi.remove_handle(handle.curl)
        handle.chunks.clear()
        self._busy.discard(handle)
        self._idle[handle.method].append(handle)
        future, handle.future = handle.future, None
        if future and not future.done():
            future.set_result(reply)

    def _watch(self, event: int, fd: int, _multi: Any, _data: Any) -> None:
        """libcurl's wish to be told about a socket."""
        if event == pycurl.POLL_REMOVE:
            self._unwatch(fd)
            return
        loop = asyncio.get_running_loop()
        reads, writes = _MASKS[event]
        had_reads, had_writes = self._watched.get(fd, (False, False))
        if reads and not had_reads:
            loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        elif had_reads and not reads:
            loop.remove_reader(fd)
        if writes and not had_writes:
            loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
        elif had_writes and not writes:
            loop.remove_writer(fd)
        self._watched[fd] = (reads, writes)

    def _unwatch(self, fd: int) -> None:
        reads, writes = self._watched.pop(fd, (False, False))
        loop = asyncio.get_running_loop()
        if reads:
            loop.remove_reader(fd)
        if writes:
            loop.remove_writer(fd)

    def _set_due(self, timeout_ms: int) -> None:
        """libcurl's wish to be woken; -1: no more. A timer that rings too early is wound up again."""
        if timeout_ms < 0:
            self._due = None
            return
        if self._starting and not timeout_ms:
            return  # ``perform`` acts at once
        loop = asyncio.get_running_loop()
        self._due = loop.time() + timeout_ms / 1000
        if self._timer is None or self._timer.when() > self._due:
            self._wind_up(loop)

    def _wind_up(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_at(self._due or 0, self._ring)

    def _ring(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._due is None:
            return
        if self._due > loop.time() + 0.0005:
            self._wind_up(loop)
            return
        self._due = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)
