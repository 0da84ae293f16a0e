"""``/weapp/*``: what clients of Tencent's retired Wafer SDK call; replies in its form, without the envelope."""

from typing import Any

from app.auth.wafer import is_stale
from app.commands import Login, parse_command
from core.errors import AppError, Code
from handlers.base import ApiHandler

FIELDS = {"X-WX-Code": "code", "X-WX-Encrypted-Data": "encryptedData", "X-WX-IV": "iv"}
SKEY = "X-WX-Skey"
STALE = {"code": -1, "error": "ERR_SKEY_INVALID"}


class WaferHandler(ApiHandler):
    """Replies as the SDK expects them: code 0 is a success, −1 with 401 has it log in again."""

    def reply(self, data: Any, status: int = 200) -> None:
        """Code 0, whatever the status."""
        self.set_status(status)
        self._write_json({"code": 0, "data": data})

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A skey that is over is −1; everything else has our code, which the SDK hands to the app."""
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        if isinstance(error, AppError) and is_stale(error):
            self.failure = error
            self.set_status(401)
            self._write_json({**STALE, "message": error.code.message(self.language())})
        else:
            super().write_error(status_code, **kwargs)


class WaferLoginHandler(WaferHandler):
    """``/weapp/login``, by GET or POST: the headers say who."""

    async def get(self) -> None:
        """Logs in by code; with encrypted data the profile is filled, too."""
        given = {
            name: self.request.headers[header] for header, name in FIELDS.items() if header in self.request.headers
        }
        try:
            if "code" not in given:
                raise AppError(Code.INVALID_REQUEST, field="X-WX-Code")
            data = await self.kaimen.wafer.login(parse_command(Login, given), self.client)
        except AppError as error:
            self.kaimen.trail.refused("login", error, self.client.address, self.client.device)
            raise
        self.reply(data)

    post = get


class WaferUserHandler(WaferHandler):
    """``/weapp/user``."""

    async def get(self) -> None:
        """Who the skey belongs to."""
        self.claims = await self.kaimen.wafer.authenticate(self.request.headers.get(SKEY, ""))
        self.reply(await self.kaimen.wafer.userinfo(self.claims))
