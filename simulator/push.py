"""The message push to our backend: signed, in safe mode encrypted, repeated where it is not answered.

See: https://developers.weixin.qq.com/doc/oplatform/developers/dev/push/encryption.html
"""

import hashlib
import re
import secrets
import struct
from base64 import b64decode, b64encode
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from Crypto.Cipher import AES
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse

from simulator.apps import App
from simulator.errors import ControlError
from simulator.state import State
from simulator.wechat import dump_json

BLOCK = 32
WITHIN_S = 5
MODES = ("safe", "plain")
FORMS = ("xml", "json")
ENCRYPT = re.compile(r"<Encrypt>(?:<!\[CDATA\[)?([A-Za-z0-9+/=]+)")


async def push(
    state: State,
    app: App,
    message: dict[str, Any],
    mode: str = "safe",
    tamper: bool = False,
    repeat: int = 1,
    form: str = "xml",
    attempts: int = 1,
) -> list[dict[str, Any]]:
    """Delivers a message ``repeat`` times, byte for byte the same; ``[{status, body, reply}]``, reply decrypted.

    Each delivery is tried up to ``attempts`` times until it is answered with 200 in time: WeChat tries three times.
    """
    if state.backend_url is None:
        raise ControlError("no backend is configured; start the simulator with --backend URL")
    if not app.token or (mode == "safe" and not app.aes_key):
        raise ControlError(f"{app.appid} has no token or no encodingAesKey")
    text = to_xml(message) if form == "xml" else dump_json(message)
    request = build_request(state, app, text, mode, str(message.get("FromUserName", "")), tamper)
    return [answer for _ in range(repeat) for answer in await try_often(state, app, request, attempts)]


async def try_often(state: State, app: App, request: HTTPRequest, attempts: int) -> list[dict[str, Any]]:
    """The answers to each try; one that was not answered in time has status 0."""
    answers: list[dict[str, Any]] = []
    while len(answers) < attempts and (not answers or answers[-1]["status"] != HTTPStatus.OK):
        try:
            answers.append(await deliver(state, app, request))
        except ControlError:
            if attempts == 1:
                raise
            answers.append({"status": 0, "body": "", "reply": ""})
    return answers


def build_request(state: State, app: App, text: str, mode: str, openid: str, tamper: bool) -> HTTPRequest:
    """One delivery as WeChat sends it; tampered: another body under the same signature."""
    timestamp, nonce = str(int(state.clock())), secrets.token_hex(5)
    query = {"signature": sign(app.token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce, "openid": openid}
    body, is_xml = text, text.startswith("<")
    if mode == "safe":
        encrypted = encrypt(app, text)
        query |= {"encrypt_type": "aes", "msg_signature": sign(app.token, timestamp, nonce, encrypted)}
        body = envelope(encrypt(app, text) if tamper else encrypted, is_xml=is_xml)
    elif tamper:
        body = text.replace("</xml>", "<Tampered>1</Tampered></xml>") if is_xml else text[:-1] + ',"Tampered":1}'
    url = f"{str(state.backend_url).rstrip('/')}/callback/wechat/{app.appid}?{urlencode(query)}"
    return HTTPRequest(
        url,
        method="POST",
        body=body,
        headers={"Content-Type": "text/xml" if is_xml else "application/json"},
        request_timeout=WITHIN_S,
    )


async def deliver(state: State, app: App, request: HTTPRequest) -> dict[str, Any]:
    """One try."""
    try:
        response = await state.client().fetch(request, raise_error=False)
    except (OSError, HTTPClientError) as error:  # not reached, timed out or broken off
        raise ControlError(f"no backend answers at {state.backend_url}: {error}", 502) from error
    return shown(app, response)


def shown(app: App, response: HTTPResponse) -> dict[str, Any]:
    """Status and body, and the reply that the user would see."""
    body = (response.body or b"").decode(errors="replace")
    encrypted = ENCRYPT.search(body)
    return {"status": response.code, "body": body, "reply": decrypt(app, encrypted[1]) if encrypted else body}


def envelope(encrypted: str, *, is_xml: bool = True) -> str:
    """What a delivery in safe mode looks like."""
    if not is_xml:
        return dump_json({"ToUserName": "gh_simulator", "Encrypt": encrypted})
    return f"<xml><ToUserName><![CDATA[gh_simulator]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"


def to_xml(message: dict[str, Any]) -> str:
    """Text in CDATA, numbers bare, as WeChat writes them."""
    fields = (f"<{name}>{show(value)}</{name}>" for name, value in message.items())
    return f"<xml>{''.join(fields)}</xml>"


def show(value: Any) -> str:
    """One value."""
    return str(value) if isinstance(value, int) else f"<![CDATA[{value}]]>"


def sign(*parts: str) -> str:
    """Hex SHA-1 over the sorted parts."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def encrypt(app: App, text: str) -> str:
    """AES-256-CBC over random, length, text and appid, padded to blocks of 32."""
    raw = text.encode()
    plain = secrets.token_bytes(16) + struct.pack("!I", len(raw)) + raw + app.appid.encode()
    count = BLOCK - len(plain) % BLOCK
    key = b64decode(app.aes_key + "=")
    return b64encode(AES.new(key, AES.MODE_CBC, key[:16]).encrypt(plain + bytes([count]) * count)).decode()


def decrypt(app: App, encrypted: str) -> str:
    """Undo ``encrypt``; ControlError when the backend encrypted it in another way."""
    key = b64decode(app.aes_key + "=")
    plain = AES.new(key, AES.MODE_CBC, key[:16]).decrypt(b64decode(encrypted))
    plain = plain[: -plain[-1]]
    length = struct.unpack("!I", plain[16:20])[0]
    if plain[20 + length :] != app.appid.encode():
        raise ControlError("the backend's reply is not encrypted for this app", 502)
    return plain[20 : 20 + length].decode()
