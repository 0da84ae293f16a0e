"""An S3-compatible store: three calls, signed by Signature Version 4.

See: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import HTTPRequest, HTTPResponse

from core.clock import Clock
from core.errors import AppError, Code

WITHIN_S = 10.0
MAX_BODY = 1024 * 1024
SCHEMES = {"s3": "https", "s3+http": "http"}


@dataclass(frozen=True, slots=True)
class Place:
    """``s3://key:secret@host/path?region=…``; the path is a bucket, or empty where the host names it."""

    origin: str
    host: str
    path: str
    region: str
    key: str = field(repr=False)
    secret: str = field(repr=False)


def parse_place(url: str) -> Place:
    """Raises ValueError."""
    parts = urlsplit(url)
    region = parse_qs(parts.query).get("region", ["us-east-1"])[0]
    if parts.scheme not in SCHEMES or not (parts.hostname and parts.username and parts.password) or parts.port == 0:
        raise ValueError("must be s3://key:secret@host/path?region=…")
    host = parts.netloc.rpartition("@")[2]
    key, secret = unquote(parts.username), unquote(parts.password)
    return Place(f"{SCHEMES[parts.scheme]}://{host}", host, parts.path.rstrip("/"), region, key, secret)


def sign(place: Place, method: str, path: str, headers: dict[str, str], body: bytes, at: datetime) -> dict[str, str]:
    """All headers of the request, with its signature."""
    moment, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "host": place.host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"{method}\n{quote(path)}\n\n{lines}\n{names}\n{digest}"
    scope = f"{day}/{place.region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(place, day), text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={place.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": credential}


def _signing_key(place: Place, day: str) -> bytes:
    key = f"AWS4{place.secret}".encode()
    for part in (day, place.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class Bucket:
    """See ``AvatarStorage``."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._place = parse_place(url)
        self._clock = clock
        self._http = CurlAsyncHTTPClient(force_instance=True, max_clients=32, max_body_size=MAX_BODY)

    async def put(self, name: str, media_type: str, data: bytes) -> None:
        """See ``AvatarStorage``."""
        await self._call("PUT", name, data, {"content-type": media_type})

    async def find(self, name: str) -> bytes | None:
        """See ``AvatarStorage``."""
        reply = await self._call("GET", name)
        return reply.body if reply.code == 200 else None

    async def delete(self, name: str) -> None:
        """See ``AvatarStorage``."""
        await self._call("DELETE", name)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    async def _call(
        self, method: str, name: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        path = f"{self._place.path}/{name}"
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        request = HTTPRequest(
            self._place.origin + quote(path),
            method,
            sign(self._place, method, path, headers or {}, body, at),
            body if method == "PUT" else None,
            connect_timeout=WITHIN_S,
            request_timeout=WITHIN_S,
            follow_redirects=False,
            ca_certs=ssl.get_default_verify_paths().cafile,
        )
        reply = await self._fetch(request)
        if reply.code not in (200, 204) and not (reply.code == 404 and method != "PUT"):
            raise AppError(Code.STORAGE_UNAVAILABLE, cause=f"the store answered {method} with {reply.code}")
        return reply

    async def _fetch(self, request: HTTPRequest) -> HTTPResponse:
        try:
            return await self._http.fetch(request, raise_error=False)
        except Exception as error:  # of libcurl and Tornado, whose texts hold the URL
            raise AppError(Code.STORAGE_UNAVAILABLE, cause=type(error).__name__) from None
