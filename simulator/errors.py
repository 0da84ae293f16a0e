"""WeChat's error codes as one table, and the two ways a call to the simulator can fail.

See: https://developers.weixin.qq.com/miniprogram/dev/framework/usability/PublicErrno.html
"""

MESSAGES = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40013: "invalid appid",
    40014: "invalid access_token",
    40029: "invalid code",
    40030: "invalid refresh_token",
    40053: "invalid action info",
    40066: "invalid url",
    40097: "invalid args",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist",
    40169: "invalid length for scene, or the data is not json string",
    40226: "code blocked",
    40243: "appsecret is frozen",
    41001: "access_token missing",
    41002: "appid missing",
    41003: "missing refresh_token",
    41004: "appsecret missing",
    41008: "missing code",
    41009: "missing openid",
    41030: "invalid page",
    42001: "access_token expired",
    42002: "refresh_token expired",
    42007: "access_token and refresh_token invalid, user changed password",
    40129: "invalid scene",
    43001: "require GET method",
    43002: "require POST method",
    44002: "empty post data",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit mustslower retry next minute",
    47001: "data format error",
    48001: "api unauthorized",
    50002: "user limited",
    61010: "code is expired",
    87007: "session_key is not exist or expired",
    87008: "invalid sig_method",
    87009: "invalid signature",
}


class WechatError(Exception):
    """A business error: WeChat answers it with HTTP 200 and ``errcode`` in the body."""

    def __init__(self, errcode: int) -> None:
        super().__init__(f"{errcode} {MESSAGES.get(errcode, 'error')}")
        self.errcode = errcode

    @property
    def errmsg(self) -> str:
        """WeChat's words, still without the ``rid`` that every reply adds."""
        return MESSAGES.get(self.errcode, "error")


class ControlError(Exception):
    """A mistake of whoever drives the simulator: HTTP 400 and ``{"error": "what is wrong"}``."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ConsentError(ControlError):
    """What a consent page shows instead of itself; ``code`` is WeChat's, 0 where it has none."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}" if code else message)
        self.code = code
