"""WeChat Pay's own side of v3 notifications: its keys, and how a resource is sealed.

Two ways of signing live side by side, as they do while a merchant changes over: a platform certificate (its serial in
hex) and WeChat Pay's public key (``PUB_KEY_ID_…``). Signed and sealed with pycryptodome, where the backend uses
another library. See: pay.weixin.qq.com, wechatpay4_1 and wechatpay4_2.
"""

import datetime
import secrets
from base64 import b64encode
from functools import cached_property

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15
from Crypto.Util.asn1 import DerBitString, DerInteger, DerNull, DerObject, DerObjectId, DerSequence, DerSetOf

DAY = datetime.timedelta(days=1)
SHA256_WITH_RSA, COMMON_NAME = "1.2.840.113549.1.1.11", "2.5.4.3"
UTC_TIME, UTF8_STRING = 0x17, 0x0C


class PayPlatform:
    """The platform's own keys; made when they are first asked for, for that takes a moment."""

    public_key_id = "PUB_KEY_ID_0119000000012026112000000000000001"

    @cached_property
    def key(self) -> RSA.RsaKey:
        """Signs as ``PUB_KEY_ID_…``."""
        return RSA.generate(2048)

    @cached_property
    def certificate_key(self) -> RSA.RsaKey:
        """Signs as the certificate."""
        return RSA.generate(2048)

    @cached_property
    def serial_number(self) -> int:
        """Of the certificate."""
        return int.from_bytes(secrets.token_bytes(19)) | 1 << 150

    @property
    def serial(self) -> str:
        """The same in hex, as the header has it."""
        return f"{self.serial_number:X}"

    @cached_property
    def certificate(self) -> str:
        """The platform certificate in PEM."""
        der = make_certificate(self.certificate_key, self.serial_number, "Tenpay.com sign (simulator)")
        lines = b64encode(der).decode()
        wrapped = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
        return f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n"

    def platform_keys(self) -> list[dict[str, str]]:
        """``platformKeys`` of ``KAIMEN_MERCHANTS``."""
        public = self.key.public_key().export_key().decode()
        return [{"serial": self.public_key_id, "key": public}, {"serial": self.serial, "key": self.certificate}]

    def sign(self, signer: str, text: bytes) -> str:
        """Base64 of RSASSA-PKCS1-v1_5 with SHA-256."""
        key = self.key if signer == "publicKey" else self.certificate_key
        return b64encode(pkcs1_15.new(key).sign(SHA256.new(text))).decode()


def make_certificate(key: RSA.RsaKey, serial: int, name: str) -> bytes:
    """A self-signed certificate (RFC 5280 §4.1, version 1), good for 5 years."""
    algorithm = DerSequence([DerObjectId(SHA256_WITH_RSA), DerNull()])
    attribute = DerSequence([DerObjectId(COMMON_NAME), DerObject(UTF8_STRING, name.encode())])
    subject = DerSequence([DerSetOf([attribute.encode()])])
    now = datetime.datetime.now(datetime.UTC)
    times = [DerObject(UTC_TIME, f"{at:%y%m%d%H%M%S}Z".encode()) for at in (now - DAY, now + 1800 * DAY)]
    public = DerSequence().decode(key.public_key().export_key("DER"))
    signed = DerSequence([DerInteger(serial), algorithm, subject, DerSequence(times), subject, public]).encode()
    signature = pkcs1_15.new(key).sign(SHA256.new(signed))
    return DerSequence([DerSequence().decode(signed), algorithm, DerBitString(signature)]).encode()


def seal(api_key: str, text: str, original_type: str) -> dict[str, str]:
    """The ``resource`` of a notification."""
    nonce = secrets.token_hex(6)
    cipher = AES.new(api_key.encode(), AES.MODE_GCM, nonce=nonce.encode())
    cipher.update(original_type.encode())
    sealed, tag = cipher.encrypt_and_digest(text.encode())
    return {
        "original_type": original_type,
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": b64encode(sealed + tag).decode(),
        "associated_data": original_type,
        "nonce": nonce,
    }


PLATFORM = PayPlatform()  # one for all simulators of a process: its keys are made on first use
