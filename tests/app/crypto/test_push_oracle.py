"""The message push against wechatpy, in both directions, and signatures of its requests."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.utils import check_signature

from app.callbacks.messages import encrypted_reply, parse_message
from app.crypto.push import PushCipher, is_signed, sign_push

TOKEN, AES_KEY, APPID = "aToken123", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx00000000000000a1"
# wechatpy writes its messages as XML of its own, so no characters that XML cannot hold
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)


@given(TEXTS)
def test_what_wechatpy_encrypts_we_verify_and_open(text: str) -> None:
    message = f"<xml><Content><![CDATA[{text.replace(']]>', '')}]]></Content></xml>"
    theirs = WeChatCrypto(TOKEN, AES_KEY, APPID).encrypt_message(message, "nonce1", "1700000000")
    envelope = parse_message(theirs.encode())
    assert is_signed(envelope["MsgSignature"], TOKEN, "1700000000", "nonce1", envelope["Encrypt"])
    assert PushCipher(APPID, AES_KEY).decrypt(envelope["Encrypt"]).decode() == message


@given(TEXTS, st.binary(min_size=16, max_size=16))
def test_what_we_encrypt_wechatpy_verifies_and_opens(text: str, random: bytes) -> None:
    encrypted = PushCipher(APPID, AES_KEY).encrypt(text.encode(), random)
    signature = sign_push(TOKEN, "1700000000", "nonce1", encrypted)
    envelope = encrypted_reply(encrypted, signature, "1700000000", "nonce1")
    opened = WeChatCrypto(TOKEN, AES_KEY, APPID).decrypt_message(envelope, signature, "1700000000", "nonce1")
    assert opened == text


def test_wechatpy_refuses_what_we_sign_with_another_token() -> None:
    encrypted = PushCipher(APPID, AES_KEY).encrypt(b"text", bytes(16))
    signature = sign_push("another", "1700000000", "nonce1", encrypted)
    envelope = encrypted_reply(encrypted, signature, "1700000000", "nonce1")
    with pytest.raises(InvalidSignatureException):
        WeChatCrypto(TOKEN, AES_KEY, APPID).decrypt_message(envelope, signature, "1700000000", "nonce1")


def test_the_url_check_is_signed_as_wechatpy_signs_it() -> None:
    timestamp = str(int(time.time()))
    check_signature(TOKEN, sign_push(TOKEN, timestamp, "n1"), timestamp, "n1")
