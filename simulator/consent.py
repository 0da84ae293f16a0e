"""The consent pages of open.weixin.qq.com, for a browser."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from tornado.template import Loader
from tornado.web import RequestHandler

from simulator.errors import ControlError
from simulator.oauth import PATHS, Asked, read_query
from simulator.pages import WEB
from simulator.state import State
from simulator.users import User

COOKIE = "sim-user"
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"
_loader = Loader(str(WEB))


class ConsentHandler(RequestHandler):
    """``/connect/oauth2/authorize`` and ``/connect/qrconnect``; the answer is posted to the same address."""

    def initialize(self, state: State) -> None:
        """Take what the route table passes."""
        self.state = state

    def set_default_headers(self) -> None:
        """Nothing is cached, framed or loaded from elsewhere."""
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def get(self) -> None:
        """The page, or straight on where WeChat would not ask."""
        asked = self.read()
        if asked is not None and asked.is_silent:
            self.go_on(asked, self.current_person(), allow=True)
        elif asked is not None:
            self.show("consent.html", asked=asked, users=list(self.state.wechat.users))

    def post(self) -> None:
        """Who it is and what they say."""
        asked = self.read()
        if asked is None:
            return
        try:
            user = self.state.wechat.users.get(self.get_body_argument("user"))
        except ControlError:
            user = self.current_person()
        self.set_cookie(COOKIE, quote(user.name, safe=""), httponly=True, samesite="Lax")
        self.go_on(asked, user, allow=self.get_body_argument("allow", "no") == "yes")

    def read(self) -> Asked | None:
        """What is asked for; None when the page of an error was shown instead."""
        try:
            return read_query(PATHS[self.request.path], self.request.query, self.state.wechat.apps.find)
        except ControlError as error:
            self.set_status(HTTPStatus.OK)
            self.show("consent_error.html", error=str(error))
            return None

    def go_on(self, asked: Asked, user: User, *, allow: bool) -> None:
        """Back to the site, as WeChat does it."""
        self.redirect(self.state.wechat.oauth.answer(asked, user, allow), status=HTTPStatus.FOUND)

    def current_person(self) -> User:
        """Who said yes last in this browser, or the first there is."""
        users = list(self.state.wechat.users)
        return next((user for user in users if quote(user.name, safe="") == self.get_cookie(COOKIE)), users[0])

    def show(self, name: str, **values: Any) -> None:
        """A page."""
        current = self.current_person()
        self.finish(
            _loader.load(name).generate(
                **values, current=current, avatar=self.state.wechat.users.avatar_url, is_english=self.is_english()
            )
        )

    def is_english(self) -> bool:
        """Whether the browser asks for English before Chinese."""
        for part in self.request.headers.get("Accept-Language", "").lower().split(","):
            if part.strip()[:2] in ("en", "zh"):
                return part.strip()[:2] == "en"
        return False
