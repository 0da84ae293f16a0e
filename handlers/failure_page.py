"""Pages for people: what a browser shows when a sign-in could not be finished."""

from typing import Any

from tornado.template import Loader

from core.errors import Code
from handlers.base import ApiHandler
from handlers.web_files import WEB

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

WORDS = {
    "zh": {"title": "登录未完成", "again": "重新登录", "code": "错误码", "request": "请求编号"},
    "en": {"title": "Sign-in not finished", "again": "Sign in again", "code": "Error", "request": "Request"},
}
# What the person can do about it; by the field or reason that the error names, else by its code.
ADVICE = {
    "zh": {
        "state": "登录页面已过期，或是在另一个浏览器中打开的。请重新登录。",
        "code": "您没有同意授权，未登录。",
        "return": "登录链接中的返回地址无效。请从原网站重新进入。",
        "snapshot": "当前是微信的快照页面，无法登录。请点击页面底部的“使用完整服务”后重试。",
        Code.WX_CODE_USED: "本次授权已经使用过。请重新登录。",
        Code.INVALID_WX_CODE: "微信授权已过期。请重新登录。",
    },
    "en": {
        "state": "The sign-in page has expired, or was opened in another browser. Please sign in again.",
        "code": "You did not agree in WeChat, so you are not signed in.",
        "return": "The address to return to is not valid. Please start again from the site you came from.",
        "snapshot": "This is a WeChat snapshot page, where nobody can sign in. Tap “Use full service” and try again.",
        Code.WX_CODE_USED: "This authorisation was already used. Please sign in again.",
        Code.INVALID_WX_CODE: "WeChat's authorisation has expired. Please sign in again.",
    },
}
_loader = Loader(str(WEB / "oauth"))


class PageHandler(ApiHandler):
    """A route that people open: errors are pages for browsers, and the usual envelope for anybody else.

    ``again`` is where the page's button leads, if trying again makes sense.
    """

    again = ""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The page, in the language of the browser."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            super().write_error(status_code, **kwargs)
            return
        failure = self.fail(status_code, **kwargs)
        language = self.language()
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", POLICY)
        page = _loader.load("error.html").generate(
            language="zh-CN" if language == "zh" else "en",
            words=WORDS[language],
            advice=_advice(failure.code, failure.data or {}, language),
            failure=failure,
            request_id=self.request_id,
            prefix=self.kaimen.settings.path_prefix,
            again=self.again,
        )
        self.finish(page)


def _advice(code: Code, data: dict[str, Any], language: str) -> str:
    named = ADVICE[language].get(data.get("field") or data.get("reason") or code)
    return named or ADVICE[language].get(code) or code.message(language)
