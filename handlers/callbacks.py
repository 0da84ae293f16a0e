"""``/callback/…``: what WeChat and partners send us; answered without the envelope."""

from typing import Any

from app.callbacks.push import PushQuery
from handlers.base import ApiHandler


class CallbackHandler(ApiHandler):
    """A refusal is the name of the error as text: nobody reads it but an operator."""

    def finish_text(self, text: str) -> None:
        """The answer as it is."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)

    def _write_json(self, body: dict[str, Any]) -> None:
        self.finish_text(str(body.get("error", "")))


class PushHandler(CallbackHandler):
    """``/callback/wechat/{appid}``."""

    def get(self, appid: str) -> None:
        """WeChat looks whether the URL is ours."""
        self.finish_text(self.kaimen.push.check_url(appid, self._query()))

    async def post(self, appid: str) -> None:
        """A message or an event."""
        self.finish_text(await self.kaimen.push.receive(appid, self._query(), self.raw_body()))

    def _query(self) -> PushQuery:
        """A parameter that came twice counts as none."""
        given = {name: values[0] for name, values in self.request.query_arguments.items() if len(values) == 1}
        return PushQuery(*(given.get(name, b"").decode("ascii", "replace") for name in PushQuery._fields))
