"""What an avatar may be: PNG, JPEG or WebP, told by content and walked through part by part.

Nothing is decoded. Only the parts that make up the picture are kept: where a photo was taken (Exif), comments, and
whatever follows its end are left out.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import AppError, Code

SIDE_MAX = 4096  # pixels: small files can hold huge pictures, which every viewer would have to unpack
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Image:
    """A checked picture; ``kind`` is a key of ``TYPES``."""

    kind: str
    width: int
    height: int
    data: bytes


class _Malformed(Exception):
    """The bytes are not what their beginning says."""


def check_image(data: bytes) -> Image:
    """The picture without what does not belong to it; raises 4150."""
    try:
        image = _find_reader(data)(data)
    except (_Malformed, struct.error, IndexError) as error:
        raise AppError(Code.UNSUPPORTED_MEDIA_TYPE, cause=f"malformed image: {error}") from None
    if not (1 <= image.width <= SIDE_MAX and 1 <= image.height <= SIDE_MAX):
        raise AppError(Code.UNSUPPORTED_MEDIA_TYPE, cause="the picture is too large", maxSide=SIDE_MAX)
    return image


def _find_reader(data: bytes) -> Callable[[bytes], Image]:
    for pattern, reader in READERS:
        if pattern.match(data):
            return reader
    raise AppError(Code.UNSUPPORTED_MEDIA_TYPE, cause="no image", expected=", ".join(TYPES.values()))


# --- PNG: https://www.w3.org/TR/png-3/#5Chunk-layout ---

PNG = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP"}


def _png(data: bytes) -> Image:
    chunks = list(_png_chunks(data))
    names = [name for name, _ in chunks]
    if names[:1] != [b"IHDR"] or b"IDAT" not in names:
        raise _Malformed("PNG without IHDR or IDAT")
    width, height = struct.unpack(">II", chunks[0][1][8:16])
    return Image("png", width, height, PNG + b"".join(whole for name, whole in chunks if name in PNG_KEPT))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    name = b""
    while name != b"IEND":
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            raise _Malformed("PNG cut off")
        yield name, data[at:end]
        at = end


# --- JPEG: ITU-T T.81 annex B ---

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start of a frame
EXIF = b"Exif\0\0"
KEPT_APPS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


def _jpeg(data: bytes) -> Image:
    kept, size, orientation, scans = bytearray(b"\xff\xd8"), (0, 0), 1, 0
    for marker, segment in _jpeg_segments(data):
        if marker in SIZES:
            height, width = struct.unpack(">HH", segment[5:9])
            size = (width, height)
        if marker == 0xE1 and segment[4:10] == EXIF:
            orientation = _find_orientation(segment[10:])
        scans += marker == SOS
        if _is_kept(marker, segment):
            kept += segment
    if not scans or not size[0]:
        raise _Malformed("JPEG without a picture")
    head = _orientation_segment(orientation) if orientation != 1 else b""
    return Image("jpg", *size, bytes(kept[:2] + head + kept[2:]) + b"\xff\xd9")


def _is_kept(marker: int, segment: bytes) -> bool:
    if 0xE0 <= marker <= 0xEF:
        return segment[4:].startswith(KEPT_APPS.get(marker, b"\xff\xff never"))
    return marker != 0xFE  # a comment


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, segment), a scan with its data; up to the end of the picture."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise _Malformed("JPEG without a marker where one must be")
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == EOI:
            return
        if marker in (0x00, 0x01, SOI) or 0xD0 <= marker <= 0xD7:
            raise _Malformed("JPEG with a marker that cannot be here")
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == SOS:
            found = SCAN_END.search(data, end)
            if found is None:
                raise _Malformed("JPEG cut off")
            end = found.start()
        if end > len(data) or end < at + 4:
            raise _Malformed("JPEG cut off")
        yield marker, data[at:end]
        at = end


ORIENTATION = 0x0112


def _find_orientation(tiff: bytes) -> int:
    """Which way is up (Exif 2.3, 4.6.4): 1 to 8, and 1 where it is not told."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + min(count, 64) * 12, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def _orientation_segment(orientation: int) -> bytes:
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", 2 + len(EXIF) + len(tiff)) + EXIF + tiff


# --- WebP: RFC 9649 §2 ---

WEBP_KEPT = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"}
EXIF_AND_XMP = 0x0C  # in the flags of VP8X


def _webp(data: bytes) -> Image:
    chunks = [(name, payload) for name, payload in _webp_chunks(data) if name in WEBP_KEPT]
    if not {name for name, _ in chunks} & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise _Malformed("WebP without a picture")
    width, height = WEBP_SIZES[chunks[0][0]](chunks[0][1]) if chunks[0][0] in WEBP_SIZES else (0, 0)
    body = b"WEBP" + b"".join(_webp_chunk(name, payload) for name, payload in chunks)
    return Image("webp", width, height, b"RIFF" + struct.pack("<I", len(body)) + body)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    (size,) = struct.unpack("<I", data[4:8])
    at, end = 12, 8 + size
    if end > len(data):
        raise _Malformed("WebP cut off")
    while at + 8 <= end:
        name, (length,) = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])
        if at + 8 + length > end:
            raise _Malformed("WebP with a chunk that is too long")
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _webp_chunk(name: bytes, payload: bytes) -> bytes:
    if name == b"VP8X":
        payload = bytes([payload[0] & ~EXIF_AND_XMP]) + payload[1:]
    return name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


def _vp8_size(payload: bytes) -> tuple[int, int]:
    if payload[3:6] != b"\x9d\x01\x2a":
        raise _Malformed("VP8 without its start code")
    width, height = struct.unpack("<HH", payload[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _vp8l_size(payload: bytes) -> tuple[int, int]:
    if payload[:1] != b"\x2f":
        raise _Malformed("VP8L without its signature")
    (bits,) = struct.unpack("<I", payload[1:5])
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _vp8x_size(payload: bytes) -> tuple[int, int]:
    if len(payload) != 10:
        raise _Malformed("VP8X of another length")
    return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1


WEBP_SIZES = {b"VP8 ": _vp8_size, b"VP8L": _vp8l_size, b"VP8X": _vp8x_size}
READERS = (
    (re.compile(re.escape(PNG)), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
)
