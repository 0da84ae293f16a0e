"""A browser without a screen: it keeps cookies, opens addresses, and answers WeChat's consent page."""

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from backend import OFFICIAL, Backend, Reply
from simulator.oauth import read_url

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


class Browser:
    """One cookie jar; ``backend`` may be changed for another instance of the same deployment."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.cookies: dict[str, str] = {}

    async def open(self, path: str, **headers: str) -> Reply:
        """A navigation; redirects are not followed."""
        reply = await self.backend.get(path, Cookie=self.cookie_header(), **headers)
        self.keep(reply)
        return reply

    def cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def keep(self, reply: Reply) -> None:
        for line in reply.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value

    async def begin(self, appid: str = OFFICIAL, **query: str) -> str:
        """Starts a login and returns the consent page's URL."""
        reply = await self.open(login_path(appid, **query))
        assert reply.status == 302, reply.text
        return str(reply.headers["Location"])

    async def agree(self, consent_url: str, user: str = "alice", *, allow: bool = True) -> str:
        """The path of the callback that the user's answer leads to."""
        wechat = self.backend.simulator.wechat
        asked = read_url(consent_url, wechat.apps.find)
        return path_of(wechat.oauth.answer(asked, wechat.users.get(user), allow))

    async def sign_in(self, user: str = "alice", appid: str = OFFICIAL, **query: str) -> Reply:
        """A whole login: the reply of the callback."""
        return await self.open(await self.agree(await self.begin(appid, **query), user))

    async def info(self) -> Any:
        """The profile of whoever is signed in here, None if nobody is."""
        reply = await self.open("/api/user/info")
        return reply.data if reply.status == 200 else None


def login_path(appid: str, **query: str) -> str:
    given = {name.rstrip("_"): value for name, value in query.items()}
    return f"/oauth/{appid}/login" + (f"?{urlencode(given)}" if given else "")


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"
