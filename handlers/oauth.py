"""``/oauth/…``: sign-in by redirect; the ticket it may end in; signatures for the JS-SDK."""

from urllib.parse import urlencode

from app.commands import parse_command
from app.oauth.addresses import with_ticket
from app.oauth.login import Callback, StartLogin
from app.oauth.tickets import RedeemTicket
from core.clock import Deadline
from core.errors import AppError
from core.observe import metrics
from handlers.base import ApiHandler
from handlers.browser import Browsers
from handlers.failure_page import PageHandler
from handlers.form import parse_query
from models.oauth_states import TTL_S, LoginState

# Whatever else is in the query was added on the way, as WeChat does to links that are shared.
ASKED = ("scope", "return", "mode")


class OAuthLoginHandler(PageHandler):
    """``GET /oauth/{appid}/login``."""

    async def get(self, appid: str) -> None:
        """302 to WeChat's consent page."""
        given = parse_query(self.request.query)
        asked = parse_command(StartLogin, {name: given[name] for name in ASKED if name in given})
        browser = self.kaimen.oauth.browser_secret(self.get_cookie(self.browsers.oauth_name))
        url = await self.kaimen.oauth.begin(appid, asked, browser, self.client)
        self.browsers.set_oauth_cookie(self, browser, TTL_S)
        self.redirect(url)


class OAuthCallbackHandler(PageHandler):
    """``GET /oauth/{appid}/callback``."""

    async def get(self, appid: str) -> None:
        """Signs in, and 302 to where the login was to return to."""
        self.again = self._login_path(appid) if self.kaimen.settings.app(appid) else ""
        given = parse_query(self.request.query)
        browser = self.get_cookie(self.browsers.oauth_name, "")
        back = Callback(appid, given.get("state", ""), given.get("code", ""), browser)
        asked = await self.kaimen.oauth.take(back)
        self.again = self._login_path(appid, asked)
        try:
            signed_in = await self.kaimen.oauth.sign_in(back, self.client)
        except AppError as error:
            self.kaimen.trail.refused("oauth", error, self.client.address, self.client.device)
            metrics.LOGINS.inc("oauth", "wechat", error.code.error)
            raise
        metrics.LOGINS.inc("oauth", "wechat", "new" if signed_in.is_new_user else "ok")
        if asked.mode == "ticket":
            self.redirect(with_ticket(asked.return_to, self.kaimen.tickets.make(signed_in)))
        else:
            await self.sign_in_browser(self.kaimen.oauth.reply(signed_in))
            self.redirect(asked.return_to)

    def _login_path(self, appid: str, asked: LoginState | None = None) -> str:
        query = f"?{urlencode({'scope': asked.scope, 'return': asked.return_to, 'mode': asked.mode})}" if asked else ""
        return f"{self.kaimen.settings.path_prefix}/oauth/{appid}/login{query}"


class TicketHandler(ApiHandler):
    """``POST /api/auth/ticket``; pages of the return origins may call it, without cookies."""

    @property
    def browsers(self) -> Browsers:
        """Where a login may return to may redeem what it returns with."""
        rules: Browsers = self.application.settings["guests"]
        return rules

    async def post(self) -> None:
        """The tokens of the session behind a ticket, once."""
        command = parse_command(RedeemTicket, self.json())
        if command.cookie:
            super().browsers.check_origin(self.request.headers)
        data = await self.kaimen.tickets.redeem(command, self.client)
        self.reply(await self.sign_in_browser(data) if command.cookie else data)


class JsSdkHandler(ApiHandler):
    """``GET /api/wechat/{appid}/jssdk-signature``."""

    async def get(self, appid: str) -> None:
        """What ``wx.config`` takes for the page of ``url``."""
        url = parse_query(self.request.query).get("url", "")
        deadline = Deadline.after(self.kaimen.clock, self.kaimen.settings.wx_budget_s)
        self.reply(await self.kaimen.js_sdk.sign(appid, url, deadline))
