"""A small client of the simulator: the phone's side and the servers' side of WeChat."""

import json
from typing import Any

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from simulator import DEFAULT_APPS, Simulator

APP, OTHER_APP, OFFICIAL = DEFAULT_APPS[0], DEFAULT_APPS[1], DEFAULT_APPS[2]
APPID, SECRET = APP["appid"], APP["secret"]


class HandClock:
    """Unix seconds that move only by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Requests over a real socket to one simulator."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.http = SimpleAsyncHTTPClient(force_instance=True, max_body_size=200_000_000)

    async def fetch(self, path: str, method: str = "GET", body: Any = None, **options: Any) -> HTTPResponse:
        if body is not None and not isinstance(body, bytes | str):
            body = json.dumps(body)
        options.setdefault("allow_nonstandard_methods", True)
        request = HTTPRequest(self.sim.url + path, method=method, body=body, **options)
        return await self.http.fetch(request, raise_error=False)

    async def get(self, path: str, **query: str) -> Any:
        text = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in query.items())
        return json.loads((await self.fetch(f"{path}?{text}")).body)

    async def post(self, path: str, body: Any) -> Any:
        return json.loads((await self.fetch(path, "POST", body)).body)

    async def login(self, user: str = "alice", appid: str = APPID) -> str:
        return (await self.post("/sim/login", {"appid": appid, "user": user}))["code"]

    async def exchange(self, code: str, app: dict[str, Any] = APP, **changes: str) -> Any:
        query = {"appid": app["appid"], "secret": app["secret"], "js_code": code}
        return await self.get("/sns/jscode2session", **{**query, "grant_type": "authorization_code", **changes})

    async def session_key(self, user: str = "alice") -> str:
        return (await self.exchange(await self.login(user)))["session_key"]

    async def token(self, app: dict[str, Any] = APP) -> str:
        query = {"appid": app["appid"], "secret": app["secret"]}
        return (await self.get("/cgi-bin/token", grant_type="client_credential", **query))["access_token"]

    async def stable(self, **fields: Any) -> Any:
        body = {"grant_type": "client_credential", "appid": APPID, "secret": SECRET, **fields}
        return await self.post("/cgi-bin/stable_token", body)

    async def phone_code(self, user: str = "alice", appid: str = APPID) -> str:
        return (await self.post("/sim/phone-code", {"appid": appid, "user": user}))["code"]

    async def phone(self, token: str, **body: Any) -> Any:
        return await self.post(f"/wxa/business/getuserphonenumber?access_token={token}", body)
