"""The request bodies of QR login."""

from typing import Annotated, Literal

from pydantic import Field

from app.commands import Appid, Command


class CreateScan(Command):
    """A page begins; ``appid`` names the mini-program or official account, the first one unless given."""

    channel: Literal["page", "miniprogram", "official"]
    appid: Appid | None = None


class ConfirmScan(Command):
    """The phone confirms; ``match_code`` where the user was asked for the number on the screen."""

    match_code: Annotated[str, Field(pattern=r"^[0-9]{2}$")] | None = None


class RedeemScan(Command):
    """The browser brings its ticket."""

    poll_secret: Annotated[str, Field(min_length=1, max_length=128)]
    ticket: Annotated[str, Field(min_length=1, max_length=64)]
    cookie: bool = False
