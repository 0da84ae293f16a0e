"""Webhook sinks of the simulator: they check signatures and fail on demand."""

import base64
import hashlib
import hmac
import json

import pytest
from simulator_client import Client

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = {  # of the Standard Webhooks reference libraries
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = '{"test": 2432232314}'


async def post(wx: Client, headers: dict[str, str], body: str = BODY) -> int:
    return (await wx.fetch("/sink/one", "POST", body, headers=headers)).code


async def test_a_sink_without_a_secret_takes_everything_and_shows_it(wx: Client) -> None:
    assert await post(wx, {"webhook-id": "a"}) == 204
    shown = (await wx.get("/sim/sinks", name="one"))["received"]
    assert [(one["id"], one["verified"], one["status"], one["body"]) for one in shown] == [("a", None, 204, BODY)]


async def test_the_published_vector_is_taken_and_a_changed_body_is_not(wx: Client) -> None:
    wx.sim.clock.now = 1614265330.0  # type: ignore[attr-defined]
    await wx.post("/sim/sinks", {"name": "one", "secret": SECRET})
    assert await post(wx, VECTOR) == 204
    assert await post(wx, VECTOR, BODY + " ") == 401
    assert await post(wx, {**VECTOR, "webhook-id": "other"}) == 401
    assert await post(wx, {}) == 401


async def test_one_of_several_signatures_is_enough_and_an_old_one_is_not(wx: Client) -> None:
    wx.sim.clock.now = 1614265330.0  # type: ignore[attr-defined]
    await wx.post("/sim/sinks", {"name": "one", "secret": SECRET})
    assert await post(wx, {**VECTOR, "webhook-signature": f"v1,AAAA {VECTOR['webhook-signature']}"}) == 204
    wx.sim.clock.now += 301  # type: ignore[attr-defined]
    assert await post(wx, VECTOR) == 401


async def test_a_sink_fails_as_often_as_it_is_told(wx: Client) -> None:
    await wx.post("/sim/sinks", {"name": "one", "status": 503, "times": 2})
    assert [await post(wx, {}) for _ in range(3)] == [503, 503, 204]
    await wx.post("/sim/sinks", {"name": "one", "status": 302})
    reply = await wx.fetch("/sink/one", "POST", "{}", follow_redirects=False)
    assert (reply.code, reply.headers["Location"]) == (302, "/sink/one-elsewhere")
    assert (await wx.fetch("/sim/sinks", "DELETE")).code == 200
    assert (await wx.get("/sim/sinks", name="one"))["received"] == []


@pytest.mark.parametrize("body", [{}, {"name": "a/b"}, {"name": "a", "status": 99}, {"name": "a", "colour": "red"}])
async def test_a_mistake_in_setting_up_is_named(wx: Client, body: dict[str, object]) -> None:
    reply = await wx.fetch("/sim/sinks", "POST", json.dumps(body))
    assert reply.code == 400


def test_the_vector_is_what_python_computes() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    message = f"{VECTOR['webhook-id']}.{VECTOR['webhook-timestamp']}.{BODY}".encode()
    digest = hmac.new(key, message, hashlib.sha256).digest()
    assert "v1," + base64.b64encode(digest).decode() == VECTOR["webhook-signature"]
