"""What clients may ask for of their accounts, as typed commands."""

from typing import Annotated

from pydantic import Field

from app.commands import Appid, Command, WxCode

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Bind(Command):
    """A code of ``wx.login`` whose WeChat user is to be bound."""

    code: WxCode
    appid: Appid | None = None


class Unbind(Command):
    """The app whose binding is to be taken away."""

    appid: Appid


class SetPassword(Command):
    """A new password, with the old one or soon after a WeChat login."""

    new_password: str
    old_password: str | None = None
    username: str | None = None


class GiveConsent(Command):
    """A word on one version of a policy."""

    policy: Label
    version: Label
    accepted: bool
