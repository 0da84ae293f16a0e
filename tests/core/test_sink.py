"""Standard output that is full, slow or gone, of a real process: it never blocks and never raises."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.observe.sink import WAITING_MAX

ROOT = Path(__file__).parents[2]
HEAD = "import sys; from core.observe.sink import Sink; from core.observe import metrics; sink = Sink()\n"
TAIL = "\nprint(int(metrics.LOG_DROPPED.value()), file=sys.stderr)"


def run(code: str, stdout: int) -> tuple[float, int]:
    """Seconds it took, and lines it dropped."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HEAD + code + TAIL], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started, int(done.stderr)


@pytest.mark.parametrize("device", ["/dev/full", "closed pipe"])
def test_lines_to_an_output_that_fails_are_dropped_and_counted(device: str) -> None:
    if device == "/dev/full":
        out = os.open(device, os.O_WRONLY)
    else:
        read, out = os.pipe()
        os.close(read)
    dropped = run("for n in range(100): sink.write('x' * 99 + '\\n')", out)[1]
    os.close(out)
    assert dropped == 100


def test_a_reader_that_stands_still_makes_nobody_wait() -> None:
    read, out = os.pipe()
    took_s, dropped = run("for n in range(40000): sink.write('x' * 99 + '\\n')", out)
    os.close(out)
    held = len(os.read(read, 1 << 20))
    os.close(read)
    assert took_s < 10
    assert held >= 4096
    assert 40000 - dropped <= (WAITING_MAX + held) // 100 + 1


def test_a_reader_that_comes_back_gets_whole_lines_in_order() -> None:
    read, out = os.pipe()
    code = """
import asyncio
async def main():
    for n in range(2000):
        sink.write(f'{n} ' + 'x' * 90 + '\\n')
    await asyncio.sleep(1.5)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", HEAD + code], cwd=ROOT, stdout=out)
    os.close(out)
    time.sleep(0.7)
    with os.fdopen(read, "rb") as reader:
        lines = reader.read().splitlines()
    assert process.wait(10) == 0
    assert [int(line.split()[0]) for line in lines] == list(range(2000))


def test_a_socket_as_of_journald_is_written_to_without_waiting() -> None:
    code = """
import socket, os, time
ours, theirs = socket.socketpair()
os.dup2(theirs.fileno(), 1)
started = time.monotonic()
for n in range(40000): sink.write('x' * 99 + '\\n')
assert time.monotonic() - started < 10
assert ours.recv(200).startswith(b'xxx')
"""
    assert run(code, subprocess.DEVNULL)[1] > 0


def test_what_is_urgent_or_last_is_not_lost_at_the_end() -> None:
    code = "import asyncio\nasync def main(): sink.write('gathered\\n'); sink.write('last\\n')\nasyncio.run(main())"
    done = subprocess.run([sys.executable, "-c", HEAD + code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "gathered\nlast\n"
