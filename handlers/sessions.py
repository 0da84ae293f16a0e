"""``/api/sessions``: the signed-in user's sessions."""

from handlers.base import ApiHandler


class SessionsHandler(ApiHandler):
    """``GET /api/sessions``."""

    async def get(self) -> None:
        """What is open where."""
        self.reply(await self.kaimen.session_list.of(await self.authenticate()))


class SessionHandler(ApiHandler):
    """``DELETE /api/sessions/{id}``."""

    async def delete(self, session_id: str) -> None:
        """Ends one of the user's own; any other is 4040."""
        claims = await self.authenticate()
        await self.kaimen.session_list.end(claims, session_id)
        if session_id == claims.sid:
            self.forget_browser()
        self.reply({})
