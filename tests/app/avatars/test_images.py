"""What is an avatar and what is not, and what of it is kept."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.avatars.images import SIDE_MAX, Image, check_image
from core.errors import AppError, Code
from pictures import EXIF_GPS, jpeg, png, png_chunk, riff, webp

GOOD = {"png": png(), "jpg": jpeg(), "webp": webp(flags=0)}


@pytest.mark.parametrize("kind", GOOD)
def test_a_plain_picture_is_kept_byte_for_byte(kind: str) -> None:
    assert check_image(GOOD[kind]) == Image(kind, 2, 2, GOOD[kind])


def test_lossy_webp_tells_its_size() -> None:
    data = riff((b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 300 | 1 << 14, 200) + b"\0\0"))
    assert check_image(data) == Image("webp", 300, 200, data)


def test_what_tells_of_places_and_people_is_left_out() -> None:
    text = (b"tEXt", b"Comment\0secret")
    assert check_image(png(2, 2, text, (b"eXIf", EXIF_GPS[6:]))).data == png()
    assert b"GPS" not in check_image(jpeg(2, 2, (0xE1, EXIF_GPS), (0xFE, b"secret"), (0xED, b"Photoshop"))).data
    assert check_image(jpeg(2, 2, (0xFE, b"secret"), (0xE1, b"http://ns.adobe.com/xap/1.0/\0"))).data == jpeg()
    assert check_image(webp(2, 2, (b"EXIF", EXIF_GPS), (b"XMP ", b"<x/>"))).data == webp(flags=0)


def test_a_photo_stays_the_right_way_up() -> None:
    turned = check_image(jpeg(2, 2, (0xE1, EXIF_GPS))).data
    assert turned[2:4] == b"\xff\xe1"
    assert struct.unpack(">H", turned[30:32]) == (6,)
    assert check_image(turned).data == turned
    little = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 8, 0, 0)
    assert struct.unpack(">H", check_image(jpeg(2, 2, (0xE1, little))).data[30:32]) == (8,)


@pytest.mark.parametrize(
    "tiff", [b"", b"XX*\0", b"MM\0*", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 99]
)
def test_nonsense_about_the_orientation_is_no_orientation(tiff: bytes) -> None:
    assert check_image(jpeg(2, 2, (0xE1, b"Exif\0\0" + tiff))).data == jpeg()


@pytest.mark.parametrize("kind", GOOD)
def test_what_follows_the_picture_is_cut_off(kind: str) -> None:
    assert check_image(GOOD[kind] + b"<script>alert(1)</script>PK\x03\x04").data == GOOD[kind]


BAD = {
    "nothing": b"",
    "text": b"hello",
    "gif": b"GIF89a" + b"\0" * 50,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "html that says png": b"\x89PNG<html>",
    "multipart": b"--x\r\nContent-Disposition: form-data\r\n\r\n" + png(),
    "png without data": b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(13)) + png_chunk(b"IEND", b""),
    "png of no size": png(0, 1),
    "png that is huge": png(SIDE_MAX + 1, 1),
    "jpeg of no size": jpeg(0, 1),
    "jpeg without a scan": b"\xff\xd8" + jpeg()[20:60] + b"\xff\xd9",
    "jpeg that is huge": jpeg(1, SIDE_MAX + 1),
    "webp without a picture": riff((b"VP8X", bytes(10))),
    "webp that lies about its length": webp()[:4] + b"\xff\xff\0\0" + webp()[8:],
    "webp that is huge": webp(SIDE_MAX + 1, 1),
}


@pytest.mark.parametrize("name", BAD)
def test_everything_else_is_refused(name: str) -> None:
    with pytest.raises(AppError) as refused:
        check_image(BAD[name])
    assert refused.value.code is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("kind", GOOD)
def test_a_picture_that_is_cut_off_anywhere_is_refused(kind: str) -> None:
    for length in range(len(GOOD[kind])):
        with pytest.raises(AppError):
            check_image(GOOD[kind][:length])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.integers(0, 200), st.binary(max_size=24))
def test_no_change_of_bytes_makes_anything_but_a_picture_or_a_refusal(kind: str, at: int, junk: bytes) -> None:
    data = GOOD[kind][:at] + junk + GOOD[kind][at + len(junk) :]
    with contextlib.suppress(AppError):
        image = check_image(data)
        assert check_image(image.data) == image
