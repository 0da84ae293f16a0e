"""What services may ask for, as typed commands."""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.commands import Command

MAX_LOOKED_UP = 100
Text = Annotated[str, Field(min_length=1, max_length=128)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MAX_LOOKED_UP)]
Role = Annotated[str, Field(pattern=r"^[a-z0-9:_-]{1,32}$")]
EXTERNAL_ID = re.compile(r"[!-~]{1,128}", re.ASCII)


class Lookup(Command):
    """Exactly one list, of at most 100."""

    ids: Texts | None = None
    phones: Texts | None = None
    openids: Texts | None = None
    external_ids: Texts | None = None

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if len([name for name in type(self).model_fields if getattr(self, name) is not None]) != 1:
            raise PydanticCustomError("combination", "exactly one list", {"field": "ids"})
        return self


class ChangeUser(Command):
    """A field that is absent stays; ``externalId: null`` removes it."""

    roles: Annotated[list[Role], Field(max_length=20)] = Field(default_factory=list)
    external_id: str | None = None
    disabled: bool = False

    @model_validator(mode="after")
    def _something_valid(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("combination", "nothing to change", {"field": "roles"})
        if self.external_id is not None and not EXTERNAL_ID.fullmatch(self.external_id):
            raise PydanticCustomError("pattern", "printable ASCII", {"field": "externalId"})
        return self


class AskToken(Command):
    """``stale``: a token that WeChat refused."""

    stale: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
