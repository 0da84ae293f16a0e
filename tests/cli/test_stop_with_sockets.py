"""A process that is told to stop closes the sockets of its clients with 1001, and one without limits says so."""

import asyncio
import json
from pathlib import Path

from tornado.websocket import websocket_connect

from commands import Running, post
from servers import free_port


async def test_sigterm_closes_open_sockets_with_going_away(tmp_path: Path) -> None:
    port = free_port()
    process = Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0", "--data-dir", "data")
    try:
        process.wait_for(f"http://127.0.0.1:{port}/healthz")
        reply = post(f"http://127.0.0.1:{port}/api/auth", {"action": "login", "code": "any"})
        token = reply["data"]["accessToken"]
        assert await heard_while_stopping(port, token, process) == ('{"type":"READY"}', None, 1001)
        assert process.process.wait(5) == 0
    finally:
        process.process.kill()
        process.process.wait()


async def heard_while_stopping(port: int, token: str, process: Running) -> tuple[object, object, int | None]:
    connection = await websocket_connect(f"ws://127.0.0.1:{port}/api/session/ws")
    await connection.write_message(json.dumps({"type": "AUTH", "token": token}))
    ready = await connection.read_message()
    process.process.terminate()
    last = await asyncio.wait_for(connection.read_message(), 5)
    connection.close()
    await asyncio.sleep(0)
    return ready, last, connection.close_code


def test_a_start_without_limits_says_so_in_the_log(tmp_path: Path) -> None:
    port = str(free_port())
    process = Running(tmp_path, "dev", "--port", port, "--simulator-port", "0", KAIMEN_RATE_LIMITS="off")
    try:
        process.wait_for(f"http://127.0.0.1:{port}/healthz")
        assert "all limits are off" in process.output.read_text()
    finally:
        process.stop()
