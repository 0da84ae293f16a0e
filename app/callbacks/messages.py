"""Bodies of the message push: flat objects as XML or JSON, read without DTDs, and the XML of replies."""

import json
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from core.errors import AppError, Code

DEPTH_MAX = 16
Message = dict[str, str]


def parse_message(body: bytes) -> Message:
    """The fields by name, as text; what is nested is left out. Raises 4000, also for a DTD, an entity or a repeat."""
    pairs = _json_pairs(body) if body.lstrip()[:1] == b"{" else _xml_pairs(body)
    message = dict(pairs)
    if len(message) != len(pairs):
        raise AppError(Code.INVALID_REQUEST, cause="a field named twice", field="body")
    return message


def parse_whole(body: bytes) -> dict[str, Any]:
    """The message with all that is nested in it: objects, and lists where a name comes more than once."""
    if body.lstrip()[:1] == b"{":
        found: dict[str, Any] = json.loads(body)
        return {name.strip(): value for name, value in found.items()}
    nested = _nested(_parse_xml(body))
    return nested if isinstance(nested, dict) else {}


def text_reply(message: Message, content: str, now_ms: int) -> str:
    """A passive text reply to who sent the message. See offiaccount Passive_user_reply_message."""
    return (
        f"<xml><ToUserName>{escape(message.get('FromUserName', ''))}</ToUserName>"
        f"<FromUserName>{escape(message.get('ToUserName', ''))}</FromUserName>"
        f"<CreateTime>{now_ms // 1000}</CreateTime><MsgType>text</MsgType><Content>{escape(content)}</Content></xml>"
    )


def encrypted_reply(encrypted: str, signature: str, timestamp: str, nonce: str) -> str:
    """The envelope of a reply in safe mode."""
    return (
        f"<xml><Encrypt>{encrypted}</Encrypt><MsgSignature>{signature}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{escape(nonce)}</Nonce></xml>"
    )


def _xml_pairs(body: bytes) -> list[tuple[str, str]]:
    return [(child.tag, child.text or "") for child in _parse_xml(body) if len(child) == 0]


def _parse_xml(body: bytes) -> Element:
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):  # LookupError: an encoding nobody knows
        raise AppError(Code.INVALID_REQUEST, cause="malformed XML", field="body") from None
    if root.tag != "xml":
        raise AppError(Code.INVALID_REQUEST, cause="no <xml>", field="body")
    return root


def _nested(element: Element, depth: int = 0) -> Any:
    if len(element) == 0 or depth >= DEPTH_MAX:
        return element.text or ""
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(_nested(child, depth + 1))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        pairs: Any = json.loads(body, object_pairs_hook=list)
        json.dumps(pairs, ensure_ascii=False).encode()  # not with half a character in it
    except (ValueError, RecursionError):
        raise AppError(Code.INVALID_REQUEST, cause="malformed JSON", field="body") from None
    # an older sample of WeChat's has a blank before a key
    return [(name.strip(), str(value)) for name, value in pairs if isinstance(value, str | int | float)]
