"""Pay v3: vector G, WeChat's rules for signatures, and the SDK of others in both directions."""

import base64
import json
import secrets
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from wechatpayv3.core import Core
from wechatpayv3.utils import aes_decrypt, rsa_sign, rsa_verify

from app.crypto.pay import PayForged, PayUnreadable, Signature, decrypt, verify
from simulator.pay_platform import PLATFORM, seal

API_KEY = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000
BODY = b'{"id":"EV-1"}'
PRIVATE = rsa.generate_private_key(65537, 2048)
KEYS = {"PUB_KEY_ID_01": PRIVATE.public_key()}
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def signed(body: bytes = BODY, **changes: str) -> Signature:
    """As WeChat signs it, by the SDK."""
    timestamp, nonce = changes.pop("timestamp", str(NOW)), changes.pop("nonce", "n" * 32)
    signature = rsa_sign(PRIVATE, f"{timestamp}\n{nonce}\n{body.decode()}\n")
    return Signature(
        **{"serial": "PUB_KEY_ID_01", "timestamp": timestamp, "nonce": nonce, "signature": signature, **changes}
    )


def test_vector_g_decrypts() -> None:
    text = '{"out_trade_no":"T20240101000001","trade_state":"SUCCESS"}'
    ciphertext = "Eu6myr+6GaECeJdOZPZ6BX5liS+LtF9qLo8OrOJs/ttO5IKIXDWWxhUJ5MF69qXnvAbp9/gbJaj8giUnvwe+q7g+X6JGfmu7LmY="
    opened = decrypt(API_KEY, "AEAD_AES_256_GCM", "abcdefghijkl", "transaction", ciphertext)
    assert opened.decode() == text


@given(st.text(max_size=300), st.text(alphabet="abcdef", max_size=16))
def test_what_the_simulator_seals_the_sdk_and_we_open_alike(text: str, kind: str) -> None:
    sealed = seal(API_KEY, text, kind)
    ours = decrypt(API_KEY, sealed["algorithm"], sealed["nonce"], sealed["associated_data"], sealed["ciphertext"])
    theirs = aes_decrypt(sealed["nonce"], sealed["ciphertext"], sealed["associated_data"], API_KEY)
    assert ours.decode() == theirs == text


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "AES"},
        {"nonce": "abcdefghijkm"},
        {"associated_data": "refund"},
        {"associated_data": ""},
        {"ciphertext": "AAAA"},
        {"ciphertext": ""},
        {"ciphertext": "no base64"},
        {"nonce": ""},
    ],
)
def test_whatever_is_changed_does_not_open(change: dict[str, str]) -> None:
    sealed = {**seal(API_KEY, "{}", "transaction"), **change}
    with pytest.raises(PayUnreadable):
        decrypt(API_KEY, sealed["algorithm"], sealed["nonce"], sealed["associated_data"], sealed["ciphertext"])


def test_another_key_does_not_open_it() -> None:
    sealed = seal(API_KEY, "{}", "transaction")
    with pytest.raises(PayUnreadable):
        decrypt("x" * 32, sealed["algorithm"], sealed["nonce"], sealed["associated_data"], sealed["ciphertext"])


@given(st.text(max_size=200))
def test_what_the_sdk_signs_we_take_and_what_the_simulator_signs_the_sdk_takes(text: str) -> None:
    body = text.encode()
    verify(KEYS, signed(body), body, NOW)
    theirs = PLATFORM.sign("publicKey", b"1\nn\n" + body + b"\n")
    public = PLATFORM.key.public_key().export_key()
    assert rsa_verify("1", "n", text, theirs, serialization.load_pem_public_key(public))


def test_an_empty_body_is_signed_too() -> None:
    verify(KEYS, signed(b""), b"", NOW)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"serial": "PUB_KEY_ID_02"}, "serial"),
        ({"serial": "pub_key_id_01"}, "serial"),
        ({"serial": ""}, "serial"),
        ({"kind": "WECHATPAY2-SM2-WITH-SM3"}, "type"),
        ({"signature": "WECHATPAY/SIGNTEST/" + "A" * 300}, "test"),
        ({"signature": ""}, "wrong"),
        ({"signature": "no base64!"}, "wrong"),
        ({"signature": base64.b64encode(b"x" * 256).decode()}, "wrong"),
        ({"timestamp": str(NOW - 300)}, "stale"),
        ({"timestamp": str(NOW + 300)}, "stale"),
        ({"timestamp": ""}, "stale"),
        ({"timestamp": "١٧٠٠٠٠٠٠٠٠"}, "stale"),
        ({"timestamp": "9" * 40}, "stale"),
    ],
)
def test_what_wechat_did_not_sign_now_is_forged_and_its_reason_is_known(change: dict[str, str], why: str) -> None:
    with pytest.raises(PayForged, match=why):
        verify(KEYS, signed(**change), BODY, NOW)


@pytest.mark.parametrize("age_s", [-299, 0, 299])
def test_clocks_may_differ_by_almost_five_minutes(age_s: int) -> None:
    verify(KEYS, signed(timestamp=str(NOW - age_s)), BODY, NOW)


def test_one_changed_byte_is_noticed_wherever_it_is() -> None:
    genuine = signed()
    for index in range(len(BODY)):
        changed = BODY[:index] + bytes([BODY[index] ^ 1]) + BODY[index + 1 :]
        with pytest.raises(PayForged):
            verify(KEYS, genuine, changed, NOW)


def test_nonce_and_timestamp_are_signed_as_well() -> None:
    genuine = signed()
    for other in (
        Signature(genuine.serial, str(NOW + 1), genuine.nonce, genuine.signature),
        Signature(genuine.serial, genuine.timestamp, "m" * 32, genuine.signature),
    ):
        with pytest.raises(PayForged):
            verify(KEYS, other, BODY, NOW)


def test_a_whole_notification_of_the_simulator_opens_with_the_sdk() -> None:
    """The callback of wechatpayv3 takes what our simulator sends, and finds the same in it."""
    payload = {"out_trade_no": "T1", "transaction_id": "42"}
    body = json.dumps({"id": "1", "event_type": "TRANSACTION.SUCCESS", "resource_type": "encrypt-resource",
                       "resource": seal(API_KEY, json.dumps(payload), "transaction")})  # fmt: skip
    nonce, timestamp = secrets.token_hex(8), str(int(time.time()))
    headers: dict[str, Any] = {
        "Wechatpay-Signature": PLATFORM.sign("publicKey", f"{timestamp}\n{nonce}\n{body}\n".encode()),
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": PLATFORM.public_key_id,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }
    sdk = Core(
        mchid="1900000001", cert_serial_no="00", private_key=PEM, apiv3_key=API_KEY,
        public_key=PLATFORM.key.public_key().export_key().decode(), public_key_id=PLATFORM.public_key_id,
    )  # fmt: skip
    assert json.loads(sdk.decrypt_callback(headers, body)) == payload
    assert sdk.decrypt_callback({**headers, "Wechatpay-Nonce": "other"}, body) is None
