"""The S3-compatible store: signatures against the vectors of the specification, calls against a socket."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from tornado.web import Application

from app.avatars.bucket import Bucket, parse_place, sign
from app.doctor.findings import FAIL, OK, Finding
from app.doctor.stores import examine_avatars
from core.clock import Clock
from core.errors import AppError, Code
from core.settings import Settings, SettingsInvalid, load_settings
from s3_store import Store

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples"
EXAMPLE = "s3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYEXAMPLEKEY@examplebucket.s3.amazonaws.com"
AT = datetime(2013, 5, 24, tzinfo=UTC)


def test_a_get_is_signed_as_in_the_example_of_the_specification() -> None:
    signed = sign(parse_place(EXAMPLE), "GET", "/test.txt", {"range": "bytes=0-9"}, b"", AT)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_put_is_signed_as_in_the_example_of_the_specification() -> None:
    headers = {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    signed = sign(parse_place(EXAMPLE), "PUT", "/test$file.text", headers, b"Welcome to Amazon S3.", AT)
    assert signed["authorization"].endswith("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")


@pytest.mark.parametrize(
    "url", ["https://k:s@host/b", "s3://host/b", "s3://k@host/b", "s3:///b", "s3://k:s@host:0/b", "s3://k:s@host:x/b"]
)
def test_a_url_that_lacks_something_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_place(url)


def test_the_secret_is_not_shown() -> None:
    assert "wJalr" not in repr(parse_place(EXAMPLE))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setattr(Store, "objects", {})
    return Application([("/bucket/.*", Store)])


@pytest.fixture
async def bucket(http_server: Any, http_port: int) -> AsyncIterator[Bucket]:
    bucket = Bucket(f"s3+http://key:secret@127.0.0.1:{http_port}/bucket?region=ap-1", Clock())
    yield bucket
    bucket.close()


async def test_what_was_put_is_found_until_it_is_deleted(bucket: Bucket) -> None:
    assert await bucket.find("a.png") is None
    await bucket.put("a.png", "image/png", b"\x89PNG\0\xff")
    assert Store.objects == {"/bucket/a.png": ("image/png", b"\x89PNG\0\xff")}
    assert await bucket.find("a.png") == b"\x89PNG\0\xff"
    await bucket.delete("a.png")
    await bucket.delete("a.png")
    assert await bucket.find("a.png") is None


@pytest.mark.parametrize("status", [403, 500, 503, 301])
async def test_a_store_that_refuses_is_5004(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(Store, "answers", status)
    for call in (bucket.put("a", "image/png", b"x"), bucket.find("a"), bucket.delete("a")):
        with pytest.raises(AppError) as refused:
            await call
        assert refused.value.code is Code.STORAGE_UNAVAILABLE


async def test_a_store_that_is_away_is_5004_without_its_url(unused_port: int) -> None:
    bucket = Bucket(f"s3+http://key:secret@127.0.0.1:{unused_port}/bucket", Clock())
    with pytest.raises(AppError) as refused:
        await bucket.put("a", "image/png", b"x")
    assert "secret" not in str(refused.value)
    bucket.close()


@pytest.fixture
def unused_port() -> int:
    from servers import free_port

    return free_port()


async def test_the_doctor_tries_the_store(
    http_server: Any, http_port: int, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    async def examine(port: int) -> list[Finding]:
        url = f"s3+http://key:secret@127.0.0.1:{port}/bucket?region=ap-1"
        return await examine_avatars(Settings(avatar_storage=SecretStr(url)), Clock())

    assert [one.level for one in await examine(http_port)] == [OK]
    assert Store.objects == {}
    monkeypatch.setattr(Store, "answers", 403)
    for port in (http_port, unused_port):
        [found] = await examine(port)
        assert (found.level, "KAIMEN_AVATAR_STORAGE" in found.fix) == (FAIL, True)
    assert await examine_avatars(Settings(), Clock()) == []


def test_a_setting_that_is_no_store_stops_the_start() -> None:
    for url in ("https://key:secret@host", "s3://host/bucket", "s3://key@host"):
        with pytest.raises(SettingsInvalid, match="KAIMEN_AVATAR_STORAGE"):
            load_settings(env="development", avatar_storage=url)
