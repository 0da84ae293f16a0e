"""Codes to scan, as pictures. A mini-program code is round in reality; here it is a QR like the other."""

import io

import segno


def draw_code(content: str) -> bytes:
    """A PNG."""
    out = io.BytesIO()
    segno.make_qr(content, error="m").save(out, kind="png", scale=6, border=3)
    return out.getvalue()
