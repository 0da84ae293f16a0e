"""WeChat Pay of the simulator: what it sends, and what it says when it is asked wrongly."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from simulator_client import Client
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from wechatpayv3.utils import aes_decrypt, rsa_verify

from simulator.__main__ import parse_args

MCHID = "1900000001"


class Merchant(RequestHandler):
    def initialize(self, got: list[Any]) -> None:
        self.got = got

    def post(self) -> None:
        self.got.append((dict(self.request.headers.get_all()), self.request.body))
        self.set_status(204)


@pytest.fixture
async def got(wx: Client) -> AsyncIterator[list[Any]]:
    """What the merchant's server got."""
    found: list[Any] = []
    server, (listener, port) = HTTPServer(Application([("/.*", Merchant, {"got": found})])), bind_unused_port()
    server.add_socket(listener)
    wx.sim.backend_url = f"http://127.0.0.1:{port}"
    yield found
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize("signer", ["publicKey", "certificate"])
async def test_a_notification_is_signed_by_the_key_it_names_and_sealed_under_the_merchant_s(
    wx: Client, got: list[Any], signer: str
) -> None:
    merchants = (await wx.get("/sim/merchants"))["merchants"]
    keys = {one["serial"]: one["key"] for one in merchants[0]["platformKeys"]}
    answers = await wx.post("/sim/pay-notify", {"mchid": MCHID, "payload": {"a": "支"}, "signer": signer, "repeat": 2})
    assert answers == {"answers": [{"status": 204, "body": ""}] * 2}
    (headers, body), (others, same) = got
    assert body == same
    assert headers["Wechatpay-Nonce"] != others["Wechatpay-Nonce"]
    pem = keys[headers["Wechatpay-Serial"]].encode()
    public = (
        x509.load_pem_x509_certificate(pem).public_key()
        if signer == "certificate"
        else serialization.load_pem_public_key(pem)
    )
    signature = headers["Wechatpay-Signature"]
    assert rsa_verify(headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"], body.decode(), signature, public)
    sealed = json.loads(body)["resource"]
    opened = aes_decrypt(sealed["nonce"], sealed["ciphertext"], sealed["associated_data"], merchants[0]["apiV3Key"])
    assert json.loads(opened) == {"a": "支"}
    assert len(b64decode(sealed["ciphertext"])) > 16


@pytest.mark.parametrize(
    "body",
    [
        {"mchid": "1", "payload": {}},
        {"mchid": MCHID, "payload": []},
        {"mchid": MCHID, "payload": {}, "tamper": "soul"},
        {"mchid": MCHID, "payload": {}, "signer": "me"},
        {"mchid": MCHID, "payload": {}, "repeat": 0},
    ],
)
async def test_a_mistake_is_named(wx: Client, got: list[Any], body: dict[str, Any]) -> None:
    reply = await wx.fetch("/sim/pay-notify", "POST", json.dumps(body))
    assert (reply.code, got) == (400, [])


def test_merchants_may_come_from_the_file_of_the_apps(tmp_path: Path) -> None:
    file = tmp_path / "apps.json"
    app = {"appid": "wx0000000000000001", "kind": "miniprogram", "secret": "s"}
    merchant = {"mchid": "1", "appids": ["wx0000000000000001"], "apiV3Key": "k" * 32}
    file.write_text(json.dumps({"KAIMEN_APPS": [app], "KAIMEN_MERCHANTS": [merchant]}))
    assert parse_args(["--apps", str(file)]).apps.merchants == [merchant]
    file.write_text(json.dumps({"KAIMEN_APPS": [app], "KAIMEN_MERCHANTS": [{**merchant, "apiV3Key": "short"}]}))
    with pytest.raises(SystemExit):
        parse_args(["--apps", str(file)])
