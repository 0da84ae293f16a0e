"""The message push's cryptography, by WeChat's public vectors and by what is not ours."""

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crypto.push import PushCipher, PushUnreadable, is_signed, sign_push
from simulator import push as theirs
from simulator.apps import App

TOKEN, AES_KEY, APPID = "AAAAA", "A" * 43, "wxba5fad812f8e6fb9"
ENCRYPT = (
    "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR"
    "8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km3"
    "2IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
)
REPLY = "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="


def cipher(appid: str = APPID) -> PushCipher:
    return PushCipher(appid, AES_KEY)


@pytest.mark.parametrize(
    ("parts", "signature"),
    [
        (("1714036504", "1514711492"), "f464b24fc39322e44b38aa78f5edd27bd1441696"),
        (("1714037059", "486452656"), "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
        (("1714112445", "415670741", ENCRYPT), "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"),
        (("1713424427", "415670741", REPLY), "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"),
    ],
    ids=["url", "plain", "safe", "reply"],
)
def test_signatures_are_those_of_the_public_vectors(parts: tuple[str, ...], signature: str) -> None:
    assert is_signed(signature, TOKEN, *parts)
    assert not is_signed(signature, "AAAAB", *parts)
    assert not is_signed(signature[:-1], TOKEN, *parts)
    assert not is_signed("ü", TOKEN, *parts)


def test_the_public_ciphertext_opens_though_its_padding_is_above_16() -> None:
    message = json.loads(cipher().decrypt(ENCRYPT))
    assert (message["Event"], message["debug_str"]) == ("debug_demo", "hello world")


def test_a_reply_is_encrypted_as_the_public_vector() -> None:
    assert cipher().encrypt(b'{"demo_resp":"good luck"}', b"707722b803182950") == REPLY


@given(st.text(max_size=300))
def test_the_simulator_reads_what_we_write_and_we_read_what_it_writes(text: str) -> None:
    app = App(APPID, "official", "secret", token=TOKEN, aes_key=AES_KEY)
    assert theirs.decrypt(app, cipher().encrypt(text.encode(), b"0123456789abcdef")) == text
    assert cipher().decrypt(theirs.encrypt(app, text)) == text.encode()


def test_a_message_for_another_app_does_not_open() -> None:
    with pytest.raises(PushUnreadable):
        cipher("wx0000000000000001").decrypt(ENCRYPT)


@pytest.mark.parametrize("encrypted", ["", "!", "AAAA", base64.b64encode(bytes(16)).decode(), "é" * 64])
def test_what_is_no_ciphertext_is_refused(encrypted: str) -> None:
    with pytest.raises(PushUnreadable):
        cipher().decrypt(encrypted)


@pytest.mark.parametrize(
    "plain",
    [
        bytes(31) + b"\x00",
        bytes(31) + b"\x21",
        bytes(30) + b"\x03\x02",
        b"\x20" * 32,
        bytes(16) + struct.pack(">I", 2**31) + b"x" * 11 + b"\x01",
    ],
    ids=["padding 0", "padding 33", "uneven padding", "nothing but padding", "length beyond the end"],
)
def test_a_plaintext_of_another_form_is_refused(plain: bytes) -> None:
    from Crypto.Cipher import AES

    encrypted = base64.b64encode(AES.new(bytes(32), AES.MODE_CBC, bytes(16)).encrypt(plain)).decode()
    with pytest.raises(PushUnreadable):
        cipher().decrypt(encrypted)


def test_the_signature_does_not_depend_on_the_order_of_its_parts() -> None:
    assert sign_push("b", "a", "c") == sign_push("c", "b", "a")
