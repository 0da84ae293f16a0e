"""Small pictures made by hand, for tests of avatars."""

import struct
import zlib

EXIF_GPS = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x88\x25\0\x04\0\0\0\x01\0\0\0\0 GPS 31.2304"
)


def png(width: int = 2, height: int = 2, *extra: tuple[bytes, bytes]) -> bytes:
    """An RGB picture, with further chunks between header and data."""
    rows = b"".join(b"\0" + b"\x20\xa0\x60" * min(width, 64) for _ in range(min(height, 64)))
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    chunks = [header, *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in chunks)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def jpeg(width: int = 2, height: int = 2, *extra: tuple[int, bytes]) -> bytes:
    """A JPEG's segments around a scan of nonsense, which nobody here decodes."""
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"
    segments = [(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"), *extra, (0xDB, b"\0" + bytes(range(1, 65))), (0xC0, frame)]
    scan = segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x12\xff\0\x34\xff\xd0\x56"
    return b"\xff\xd8" + b"".join(segment(*one) for one in segments) + scan + b"\xff\xd9"


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def webp(width: int = 2, height: int = 2, *extra: tuple[bytes, bytes], flags: int = 0x0C) -> bytes:
    """Extended WebP (VP8X) with a lossless picture and further chunks."""
    canvas = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    picture = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0\0"
    return riff((b"VP8X", canvas), (b"VP8L", picture), *extra)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(n + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for n, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
