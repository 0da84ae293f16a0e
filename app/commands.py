"""What clients may ask for, as typed commands: strict types, no unknown fields, camelCase on the wire.

``parse_command`` turns JSON into one of them or raises ``4000 invalid_request`` with the field's name.
"""

from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from core.errors import AppError, Code

WxCode = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
Appid = Annotated[str, Field(min_length=1, max_length=32)]
Base64 = Annotated[str, Field(min_length=1, max_length=65536)]
C = TypeVar("C", bound="Command")


class Command(BaseModel):
    """A request body; subclasses name the fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class OpenDataFields(Command):
    """WeChat's open data (``wx.getUserProfile`` and the like), to be decrypted with the kept session_key."""

    encrypted_data: Base64 | None = None
    iv: Base64 | None = None
    raw_data: Annotated[str, Field(max_length=65536)] | None = None
    signature: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        _need("iv", (self.encrypted_data is None) == (self.iv is None))
        _need("signature", (self.raw_data is None) == (self.signature is None))
        return self


class Register(OpenDataFields):
    """``register`` by code, by username and password, or by both at once."""

    code: WxCode | None = None
    appid: Appid | None = None
    username: str | None = None
    password: str | None = None
    phone_code: WxCode | None = None
    cookie: bool = False

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        _need("password", (self.username is None) == (self.password is None))
        _need("code", self.code is not None or self.username is not None)
        _need("phoneCode", self.phone_code is None or self.code is not None)
        return self


class Login(Register):
    """``login`` by code or by username and password, not by both."""

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        _need("code", self.code is None or self.username is None)
        return self


class AutoLogin(OpenDataFields):
    """``autoLogin``: a refresh token for a new pair."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=512)]
    cookie: bool = False


class Logout(Command):
    """Ends this session, or all of the user's."""

    all: bool = False


class UpdateInfo(Command):
    """``PATCH /api/user/info``; a field that is absent stays, ``email: null`` removes it."""

    nickname: str = ""
    avatar_url: str = ""
    email: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        _need("nickname", bool(self.model_fields_set))
        return self


class BindPhone(Command):
    """A phone by code of ``bindgetphonenumber``, or as open data of older clients."""

    code: WxCode | None = None
    encrypted_data: Base64 | None = None
    iv: Base64 | None = None
    appid: Appid | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _need("code", (self.code is None) != (self.encrypted_data is None))
        _need("iv", (self.encrypted_data is None) == (self.iv is None))
        return self


class Decrypt(Command):
    """Open data to be decrypted for its owner."""

    encrypted_data: Base64
    iv: Base64
    raw_data: Annotated[str, Field(max_length=65536)] | None = None
    signature: Annotated[str, Field(max_length=64)] | None = None
    appid: Appid | None = None


def parse_command(model: type[C], payload: dict[str, Any]) -> C:
    """The command in ``payload``; raises 4000 whose ``data.field`` names the first fault."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        field = fault.get("ctx", {}).get("field") or ".".join(str(part) for part in fault["loc"])
        raise AppError(Code.INVALID_REQUEST, cause=fault["type"], field=field[:64]) from None


def _need(field: str, holds: bool) -> None:
    if not holds:
        raise PydanticCustomError("combination", "does not go together", {"field": field})
