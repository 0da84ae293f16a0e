"""Lines of ``cSessionInfo``, the table of Tencent's retired Wafer SDK, as users to import.

open_id says who; uuid becomes the external id; user_info is WeChat's profile of that time. skey and session_key have
no place here: both are over.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from app.operations.import_lines import BadLine, ImportLine, Position, decoded, parsed
from app.users import rules

ANONYMOUS = "微信用户"


def read_wafer(
    lines: Iterable[bytes], position: Position, form: str, appid: str, zone: str
) -> Iterator[tuple[int, ImportLine | BadLine]]:
    """(line number, user or why not); ``form`` is ``csv`` (with a header) or ``jsonl``, ``zone`` that of create_time,
    such as ``+08:00``.
    """
    make = partial(_make, appid=appid, zone=zone)
    if form == "csv":
        reader = csv.DictReader(decoded(lines, position))
        for row in reader:
            yield reader.line_num, parsed(reader.line_num, row, make)
        return
    for number, line in enumerate(lines, start=1):
        position.bytes += len(line)
        if line.strip():
            yield number, parsed(number, line, lambda given: make(json.loads(given)))


def _make(row: Any, *, appid: str, zone: str) -> ImportLine:
    """Raises ValueError, and ValidationError of the line's rules."""
    if not isinstance(row, dict):
        raise ValueError("is no object")
    openid, created_at = row.get("open_id"), row.get("create_time")
    info = _info(row.get("user_info"))
    unionid = info.get("unionId") or None
    made = {
        "externalId": row.get("uuid") or openid,
        "openids": [{"appid": appid, "openid": openid, "unionid": unionid}],
        "createdAt": f"{created_at}{zone}" if created_at else None,
        **_profile(info),
    }
    return ImportLine.model_validate({name: value for name, value in made.items() if value is not None})


def _info(text: Any) -> dict[str, Any]:
    """WeChat's profile; a column that cut it off must not keep its user out."""
    try:
        info = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def _profile(info: dict[str, Any]) -> dict[str, str]:
    nickname = rules.clean_nickname(str(info.get("nickName") or ""))
    avatar_url = rules.clean_avatar_url(str(info.get("avatarUrl") or ""))
    found = {"nickname": nickname.strip() and nickname != ANONYMOUS and nickname, "avatarUrl": avatar_url}
    return {name: value for name, value in found.items() if value}
