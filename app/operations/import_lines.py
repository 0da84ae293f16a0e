"""Lines of users from another system, read and checked: JSON lines or CSV with the same names.

A line that cannot be taken becomes a ``BadLine`` with its number and a reason that shows none of its values.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from app.users import rules
from core.errors import AppError

BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}"
)
ARGON2ID_MAX = (131_072, 10, 16)  # KiB, passes, lanes: what a login may cost us
MAINLAND = re.compile(r"(?:\+?86)?(1\d{10})")
ABROAD = re.compile(r"\+[1-9]\d{5,17}")
LINE_MAX = 65536
T = TypeVar("T")


class BadLine(Exception):
    """Why a line was refused; the text holds no value of it."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number
        self.reason = reason


def _check_password_hash(value: str) -> str:
    argon2id = ARGON2ID.fullmatch(value)
    cheap = argon2id and all(int(given) <= most for given, most in zip(argon2id.groups(), ARGON2ID_MAX, strict=True))
    if not (cheap or BCRYPT.fullmatch(value)):
        raise ValueError("is neither bcrypt ($2a$, $2b$, $2y$, cost 4 to 14) nor an argon2id PHC string")
    return value


def _check_external_id(value: str) -> str:
    if not value.isprintable() or len(value.encode()) > 128:
        raise ValueError("has 1 to 128 bytes of printable characters")
    return value


def _check_phone(value: str) -> str:
    """The form in which WeChat gives phones: without prefix for mainland China, else with ``+`` and country."""
    mainland = MAINLAND.fullmatch(value)
    if not mainland and not ABROAD.fullmatch(value):
        raise ValueError("is neither a mainland number of 11 digits nor + with country and number")
    return mainland[1] if mainland else value


def _check_time(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("has no time zone")
    return value


def _ruled(check: Callable[[T], T], reason: str) -> AfterValidator:
    def validator(value: T) -> T:
        try:
            return check(value)
        except AppError:
            raise ValueError(reason) from None

    return AfterValidator(validator)


Role = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
WxId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class OpenId(_Model):
    """An identity the user had in the other system."""

    appid: Annotated[str, Field(pattern=r"^wx[0-9a-z]{16}$")]
    openid: WxId
    unionid: WxId | None = None


class ImportLine(_Model):
    """One user; a field that is absent (or null, or an empty cell) is left as it is."""

    external_id: Annotated[str, Field(min_length=1), AfterValidator(_check_external_id)]
    username: Annotated[str, _ruled(rules.check_username, "has 3 to 20 letters or digits")] | None = None
    password_hash: Annotated[str, AfterValidator(_check_password_hash)] | None = None
    nickname: Annotated[str, _ruled(rules.check_nickname, "has 1 to 64 visible characters")] | None = None
    avatar_url: Annotated[str, _ruled(rules.check_avatar_url, "is no https URL")] | None = None
    email: Annotated[str, _ruled(rules.check_email, "is no e-mail address")] | None = None
    phone: Annotated[str, AfterValidator(_check_phone)] | None = None
    roles: Annotated[list[Role], Field(max_length=14)] | None = None
    created_at: Annotated[str, AfterValidator(_check_time)] | None = None
    openids: Annotated[list[OpenId], Field(max_length=20)] | None = None

    @property
    def created_at_ms(self) -> int | None:
        """When the user was made there, in ms."""
        return int(datetime.fromisoformat(self.created_at).timestamp() * 1000) if self.created_at else None


@dataclass(slots=True)
class Position:
    """How far the reading has come, in bytes."""

    bytes: int = 0


def read_json_lines(lines: Iterable[bytes], position: Position) -> Iterator[tuple[int, ImportLine | BadLine]]:
    """(line number, user or why not) for each line that is not blank."""
    for number, line in enumerate(lines, start=1):
        position.bytes += len(line)
        if line.strip():
            yield number, parsed(number, line, ImportLine.model_validate_json)


def read_csv(lines: Iterable[bytes], position: Position) -> Iterator[tuple[int, ImportLine | BadLine]]:
    """The same for CSV: a header with the names, ``roles`` separated by ``;``, ``openids`` as JSON."""
    reader = csv.reader(decoded(lines, position), strict=True)
    header = next(reader, [])
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, BadLine(reader.line_num, f"is no CSV: {error}")
            continue
        if row is None:
            return
        if row:
            yield reader.line_num, parsed(reader.line_num, (header, row), _from_cells)


def parsed(number: int, given: T, parse: Callable[[T], ImportLine]) -> ImportLine | BadLine:
    """The user that ``parse`` makes of a line, or why there is none."""
    try:
        line = parse(given)
    except ValidationError as error:
        return BadLine(number, "; ".join(_reason(fault) for fault in error.errors(include_input=False)))
    except (ValueError, RecursionError) as error:
        return BadLine(number, str(error) if isinstance(error, _BadCells) else "is malformed")
    if line.password_hash is not None and line.username is None:
        return BadLine(number, "passwordHash: needs a username to log in with")
    return line


class _BadCells(ValueError):
    """Cells that are no user; the text says why."""


def _from_cells(given: tuple[list[str], list[str]]) -> ImportLine:
    header, row = given
    if len(header) != len(row):
        raise _BadCells(f"has {len(row)} cells, the header {len(header)}")
    cells: dict[str, Any] = {name: cell for name, cell in zip(header, row, strict=True) if cell}
    if "roles" in cells:
        cells["roles"] = [role.strip() for role in cells["roles"].split(";") if role.strip()]
    if "openids" in cells:
        cells["openids"] = json.loads(cells["openids"])
    return ImportLine.model_validate(cells)


def decoded(lines: Iterable[bytes], position: Position) -> Iterator[str]:
    """What is not UTF-8 becomes characters that every rule refuses, so that only its own line is lost."""
    for number, line in enumerate(lines):
        position.bytes += len(line)
        yield (line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line).decode("utf-8", "surrogateescape")


def _reason(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return "has a field of another name than those of the format"
    if fault["type"] == "string_pattern_mismatch":
        return f"{where}: must be of the form {fault['ctx']['pattern'].strip('^$')}"
    return f"{where or 'line'}: {fault['msg'].removeprefix('Value error, ')}"
