"""Avatars: uploaded, shown, replaced, removed with their user."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest

from app.avatars.service import sweep
from app.avatars.storage import Folder
from backend import Backend, StartBackend, Store
from core.errors import AppError, Code
from operators import kaimen
from pictures import EXIF_GPS, jpeg, png, webp

MAX = 512 * 1024


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store, tmp_path: Path) -> Backend:
    return await start_backend(store, data_dir=tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "avatars"


async def upload(backend: Backend, token: str, picture: bytes, **headers: str) -> Any:
    return await backend.call("POST", "/api/user/avatar", picture, token, **headers)


async def fetch(backend: Backend, url: str) -> Any:
    path = url.removeprefix("http://kaimen.test")
    return await backend.http.fetch(HTTPRequest(backend.url + path), raise_error=False)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize(
    ("picture", "media_type"), [(png(), "image/png"), (jpeg(), "image/jpeg"), (webp(flags=0), "image/webp")]
)
async def test_an_uploaded_picture_is_the_avatar_and_is_served_with_its_type(
    backend: Backend, picture: bytes, media_type: str
) -> None:
    login = await backend.login()
    reply = await upload(backend, login["accessToken"], picture, Content_Type="application/json")
    url = reply.data["avatarUrl"]
    assert url.startswith("http://kaimen.test/avatar/")
    assert (await backend.get("/api/user/info", login["accessToken"])).data["avatarUrl"] == url
    served = await fetch(backend, url)
    assert (served.code, served.body) == (200, picture)
    shown = {name: served.headers[name] for name in ("Content-Type", "X-Content-Type-Options", "Cache-Control")}
    assert shown == {
        "Content-Type": media_type,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "public, max-age=31536000, immutable",
    }
    assert served.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert served.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


async def test_where_a_photo_was_taken_is_not_served(backend: Backend) -> None:
    login = await backend.login()
    url = (await upload(backend, login["accessToken"], jpeg(2, 2, (0xE1, EXIF_GPS)))).data["avatarUrl"]
    assert b"GPS" not in (await fetch(backend, url)).body


async def test_the_avatar_before_is_removed(backend: Backend, folder: Path) -> None:
    login = await backend.login()
    first = (await upload(backend, login["accessToken"], png())).data["avatarUrl"]
    second = (await upload(backend, login["accessToken"], png(3, 3))).data["avatarUrl"]
    assert first != second
    assert (await fetch(backend, first)).code == 404
    assert files(folder) == {second.rpartition("/")[2]}


async def test_an_avatar_elsewhere_takes_the_place_of_the_uploaded_one(backend: Backend, folder: Path) -> None:
    login = await backend.login()
    token = login["accessToken"]
    mine = (await upload(backend, token, png())).data["avatarUrl"]
    assert (await backend.call("PUT", "/api/user/info", {"avatarUrl": mine}, token)).status == 200
    assert len(files(folder)) == 1
    elsewhere = {"avatarUrl": "https://cdn.example.com/a.png"}
    assert (await backend.call("PUT", "/api/user/info", elsewhere, token)).status == 200
    refused = await backend.call("PUT", "/api/user/info", {"avatarUrl": mine}, token)
    assert (refused.status, refused.data) == (400, {"field": "avatarUrl"})
    await backend.kaimen.avatars.sweep_quietly()
    assert files(folder) == set()


async def test_the_avatar_of_another_user_is_not_taken(backend: Backend) -> None:
    alice, bob = await backend.login("alice"), await backend.login("bob")
    hers = (await upload(backend, alice["accessToken"], png())).data["avatarUrl"]
    refused = await backend.call("PUT", "/api/user/info", {"avatarUrl": hers}, bob["accessToken"])
    assert refused.error == "invalid_request"
    assert (await fetch(backend, hers)).code == 200


async def test_the_file_goes_with_the_user_at_once(backend: Backend, folder: Path) -> None:
    login = await backend.login()
    url = (await upload(backend, login["accessToken"], png())).data["avatarUrl"]
    exported = (await backend.get("/api/user/export", login["accessToken"])).data
    assert [one["name"] for one in exported["avatars"]] == [url.rpartition("/")[2]]
    assert (await backend.call("DELETE", "/api/user", {}, login["accessToken"])).status == 200
    assert files(folder) == set()
    assert (await fetch(backend, url)).code == 404


async def test_the_file_goes_with_a_user_whom_an_operator_deletes(backend: Backend, store: Store, folder: Path) -> None:
    login = await backend.login()
    await upload(backend, login["accessToken"], png())
    done = await kaimen(store, "users", "delete", login["user"]["id"], "--yes", KAIMEN_DATA_DIR=str(folder.parent))
    assert done.status == 0, done.err
    assert files(folder) == set()


async def test_a_command_in_another_folder_leaves_the_file_to_the_server(
    backend: Backend, store: Store, folder: Path, tmp_path: Path
) -> None:
    login = await backend.login()
    await upload(backend, login["accessToken"], png())
    elsewhere = str(tmp_path / "elsewhere")
    done = await kaimen(store, "users", "delete", login["user"]["id"], "--yes", KAIMEN_DATA_DIR=elsewhere)
    assert done.status == 0, done.err
    assert len(files(folder)) == 1
    await backend.kaimen.avatars.sweep_quietly()
    assert files(folder) == set()


async def test_without_a_token_nothing_is_taken(backend: Backend, folder: Path) -> None:
    assert (await backend.call("POST", "/api/user/avatar", png())).error == "unauthenticated"
    assert files(folder) == set()


@pytest.mark.parametrize("body", [b"", b"<svg/>", b"GIF89a", b"--x\r\n\r\n" + png(), png(5000, 1)])
async def test_what_is_no_picture_is_4150(backend: Backend, body: bytes) -> None:
    login = await backend.login()
    reply = await upload(backend, login["accessToken"], body, Content_Type="image/png")
    assert (reply.status, reply.body["code"]) == (415, 4150)


async def test_the_size_has_a_limit_of_its_own_and_the_last_byte_counts(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    head = png(2, 2)
    largest = png(2, 2, (b"iCCP", bytes(MAX - len(head) - 12)))
    assert len(largest) == MAX
    assert (await upload(backend, token, largest)).status == 200
    assert (await upload(backend, token, largest + b"\0")).body["code"] == 4130
    assert (await backend.call("PUT", "/api/user/info", b" " * 70_000, token)).body["code"] == 4130


@pytest.mark.parametrize("name", ["x", "%2e%2e%2fkaimen.db", "a" * 22 + ".svg", "a" * 22 + ".png", "a" * 22])
async def test_a_name_that_is_not_there_is_4040(backend: Backend, name: str) -> None:
    reply = await backend.get(f"/avatar/{name}")
    assert (reply.status, reply.body["code"]) == (404, 4040)


async def test_a_user_uploads_twenty_times_an_hour_and_not_more(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    replies = [await upload(backend, token, png()) for _ in range(21)]
    assert [reply.status for reply in replies] == [200] * 20 + [429]
    assert "Retry-After" in replies[-1].headers


async def test_of_uploads_at_once_one_stays(backend: Backend, folder: Path) -> None:
    token = (await backend.login())["accessToken"]
    replies = await asyncio.gather(*(upload(backend, token, png(size, 1)) for size in range(1, 9)))
    assert {reply.status for reply in replies} == {200}
    shown = (await backend.get("/api/user/info", token)).data["avatarUrl"]
    await backend.kaimen.avatars.sweep_quietly()
    assert files(folder) == {shown.rpartition("/")[2]}


class BrokenFolder(Folder):
    """Fails where it is told to."""

    fails: tuple[str, ...] = ()

    async def put(self, name: str, media_type: str, data: bytes) -> None:
        if "put" in self.fails:
            raise AppError(Code.STORAGE_UNAVAILABLE)
        await super().put(name, media_type, data)

    async def delete(self, name: str) -> None:
        if "delete" in self.fails:
            raise AppError(Code.STORAGE_UNAVAILABLE)
        await super().delete(name)


@pytest.fixture
def broken(backend: Backend, folder: Path) -> BrokenFolder:
    broken = BrokenFolder(folder)
    backend.kaimen.avatars._storage = broken
    return broken


async def test_a_full_disk_is_5004_and_the_avatar_before_stays(backend: Backend, broken: BrokenFolder) -> None:
    token = (await backend.login())["accessToken"]
    url = (await upload(backend, token, png())).data["avatarUrl"]
    broken.fails = ("put",)
    reply = await upload(backend, token, png())
    assert (reply.status, reply.body["code"]) == (503, 5004)
    assert (await backend.get("/api/user/info", token)).data["avatarUrl"] == url
    assert (await fetch(backend, url)).code == 200


async def test_a_file_that_cannot_be_removed_is_removed_later(
    backend: Backend, broken: BrokenFolder, folder: Path
) -> None:
    token = (await backend.login())["accessToken"]
    await upload(backend, token, png())
    broken.fails = ("delete",)
    assert (await upload(backend, token, png())).status == 200
    assert len(files(folder)) == 2
    broken.fails = ()
    await backend.kaimen.avatars.sweep_quietly()
    assert len(files(folder)) == 1


async def test_an_upload_that_was_cut_off_leaves_no_file_for_ever(
    backend: Backend, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = await backend.login()

    async def dies(*_args: object) -> str:
        raise AppError(Code.DATABASE_UNAVAILABLE)

    monkeypatch.setattr(backend.kaimen.profiles, "set_avatar", dies)
    assert (await upload(backend, login["accessToken"], png())).status == 503
    assert len(files(folder)) == 1
    await backend.kaimen.avatars.sweep_quietly()
    assert len(files(folder)) == 1
    backend.clock.advance(3601)
    avatars = backend.kaimen.avatars
    assert await sweep(avatars._database, backend.clock, avatars._storage) == 1
    assert files(folder) == set()


async def test_a_folder_that_cannot_be_written_is_5004(
    start_backend: StartBackend, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    backend = await start_backend(store, data_dir=tmp_path / "file")
    reply = await upload(backend, (await backend.login())["accessToken"], png())
    assert (reply.status, reply.body["code"]) == (503, 5004)
