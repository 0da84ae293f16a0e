"""Every error a client can see, as one table of data.

``Code`` is the contract: the number, the HTTP status and the name (its member name in lower case)
never change. Whoever fails raises ``AppError(Code.X, cause=…)``; one place, ``handlers.base``, renders it.
"""

from enum import Enum
from typing import Any, NamedTuple

NOTICE = "notice"  # a client's mistake
WARNING = "warning"  # worth a look when it becomes frequent
CRITICAL = "critical"  # somebody should be told


class Kind(NamedTuple):
    """One row of the table; ``retry_after_s`` is set where trying again later can help."""

    number: int
    status: int
    severity: str
    zh: str
    en: str
    retry_after_s: int | None = None


class Code(Enum):
    """The table. Messages are for people and may be reworded; everything else is fixed."""

    INVALID_REQUEST = Kind(4000, 400, NOTICE, "请求格式不正确", "The request is malformed")
    WEAK_PASSWORD = Kind(
        4001,
        400,
        NOTICE,
        "密码须为 8–128 个字符，且含大写字母、小写字母、数字和特殊字符",
        "A password has 8 to 128 characters, with an upper and a lower case letter, a digit and a special character",
    )
    INVALID_USERNAME = Kind(
        4002, 400, NOTICE, "用户名须为 3–20 位字母或数字", "A username has 3 to 20 letters or digits"
    )
    DECRYPT_FAILED = Kind(
        4003,
        400,
        NOTICE,
        "数据解密失败，请重新登录后再获取数据",
        "The data could not be decrypted; log in again, then fetch it again",
    )
    INVALID_WX_CODE = Kind(
        4004,
        400,
        NOTICE,
        "微信登录凭证无效或已过期，请重试",
        "The WeChat code is invalid or expired; call wx.login again",
    )
    WX_CODE_USED = Kind(
        4005,
        400,
        NOTICE,
        "微信登录凭证已被使用，请重试",
        "The WeChat code was already used; call wx.login again",
    )
    UNAUTHENTICATED = Kind(4010, 401, NOTICE, "请先登录", "Please log in first")
    TOKEN_EXPIRED = Kind(4011, 401, NOTICE, "登录凭证已过期", "The access token has expired; refresh it")
    REFRESH_INVALID = Kind(4012, 401, NOTICE, "登录已失效，请重新登录", "The refresh token is not valid; log in again")
    WRONG_CREDENTIALS = Kind(4013, 401, NOTICE, "账号或密码错误", "Wrong username or password")
    REFRESH_REUSED = Kind(
        4014,
        401,
        WARNING,
        "登录状态异常，请重新登录",
        "An old refresh token was used again; the session is revoked",
    )
    SESSION_REVOKED = Kind(4015, 401, NOTICE, "登录已失效，请重新登录", "The session was revoked; log in again")
    FORBIDDEN = Kind(4030, 403, NOTICE, "没有权限", "This is not yours")
    WX_USER_BLOCKED = Kind(
        4031, 403, WARNING, "该微信用户存在安全风险，暂时无法登录", "WeChat blocked this user as a risk"
    )
    BAD_ORIGIN = Kind(4032, 403, NOTICE, "请求来源不被允许", "This origin is not allowed")
    XSRF = Kind(4033, 403, NOTICE, "页面已过期，请刷新后重试", "The XSRF token is missing or wrong; reload the page")
    ACCOUNT_DISABLED = Kind(4034, 403, NOTICE, "账号已被停用", "The account is disabled")
    REAUTH_REQUIRED = Kind(
        4035, 403, NOTICE, "请重新登录后再进行此操作", "Log in again first: this needs a login of the last 5 minutes"
    )
    WRONG_MATCH_CODE = Kind(4036, 403, NOTICE, "配对码不正确", "The match code is wrong")
    NOT_FOUND = Kind(4040, 404, NOTICE, "资源不存在", "Not found")
    NOT_REGISTERED = Kind(4041, 404, NOTICE, "用户尚未注册", "No account yet; register first")
    UNKNOWN_APP = Kind(4042, 404, NOTICE, "未配置的 appid", "This appid is not configured here")
    METHOD_NOT_ALLOWED = Kind(4050, 405, NOTICE, "不支持的请求方法", "Method not allowed")
    USERNAME_TAKEN = Kind(4090, 409, NOTICE, "用户名已被占用", "The username is taken")
    ALREADY_REGISTERED = Kind(4091, 409, NOTICE, "该用户已注册，请直接登录", "Already registered; log in instead")
    IDENTITY_CONFLICT = Kind(4092, 409, NOTICE, "该信息已绑定到其他账号", "This is already bound to another account")
    WRONG_STATE = Kind(4093, 409, NOTICE, "当前状态不允许此操作", "The scan is not in a state that allows this")
    LAST_CREDENTIAL = Kind(
        4094, 409, NOTICE, "这是最后一种登录方式，不能移除", "This is the last way to log in and cannot be removed"
    )
    SCAN_EXPIRED = Kind(4100, 410, NOTICE, "二维码已过期，请刷新", "The code has expired; get a new one")
    SCAN_REDEEMED = Kind(4101, 410, NOTICE, "二维码已使用，请刷新", "The code was used; get a new one")
    SCAN_CANCELLED = Kind(4102, 410, NOTICE, "登录已取消，请刷新二维码", "The login was cancelled; get a new code")
    BODY_TOO_LARGE = Kind(4130, 413, NOTICE, "请求内容过大", "The request body is too large")
    UNSUPPORTED_MEDIA_TYPE = Kind(4150, 415, NOTICE, "不支持的内容类型", "This kind of content is not taken here")
    RATE_LIMITED = Kind(4290, 429, NOTICE, "请求过于频繁，请稍后再试", "Too many requests; try again later", 5)
    TOO_MANY_ATTEMPTS = Kind(
        4291, 429, WARNING, "尝试次数过多，请稍后再试", "Too many failed attempts; try again later", 60
    )
    WX_RATE_LIMITED = Kind(
        4292, 429, WARNING, "微信接口繁忙，请稍后再试", "WeChat limits this call; try again later", 60
    )
    SLOW_DOWN = Kind(4293, 429, NOTICE, "查询过于频繁", "Polled faster than told", 2)
    INTERNAL = Kind(5000, 500, CRITICAL, "服务器内部错误", "Internal error")
    DATABASE_UNAVAILABLE = Kind(
        5001, 503, CRITICAL, "服务暂时不可用，请稍后再试", "The database is unavailable; try again later", 2
    )
    CACHE_UNAVAILABLE = Kind(
        5002, 503, CRITICAL, "服务暂时不可用，请稍后再试", "The cache is unavailable; try again later", 2
    )
    OVERLOADED = Kind(5003, 503, WARNING, "服务繁忙，请稍后再试", "Too busy right now; try again shortly", 1)
    STORAGE_UNAVAILABLE = Kind(
        5004, 503, CRITICAL, "服务暂时不可用，请稍后再试", "The storage of files is unavailable; try again later", 5
    )
    WX_BAD_REPLY = Kind(5020, 502, CRITICAL, "微信服务返回异常", "WeChat's answer was unusable")
    WX_UNAVAILABLE = Kind(
        5030, 503, WARNING, "微信服务暂时不可用，请稍后再试", "WeChat is unavailable; try again later", 10
    )
    WX_TIMEOUT = Kind(5040, 504, WARNING, "微信服务响应超时，请重试", "WeChat did not answer in time", 1)

    @property
    def error(self) -> str:
        """The snake_case name of the contract, such as ``wrong_credentials``."""
        return self.name.lower()

    def message(self, language: str) -> str:
        """The text for people: ``en``, or Chinese for anything else."""
        return self.value.en if language == "en" else self.value.zh


class AppError(Exception):
    """A failure with its public code; ``cause`` reaches the log only, ``data`` reaches the client as a hint.

    ``user_id`` says whom a refused sign-in concerned; it reaches the audit only.
    """

    def __init__(
        self,
        code: Code,
        *,
        cause: str = "",
        retry_after_s: int | None = None,
        user_id: str | None = None,
        **data: Any,
    ) -> None:
        super().__init__(f"{code.error}: {cause}" if cause else code.error)
        self.code = code
        self.cause = cause
        self.user_id = user_id
        self.data: dict[str, Any] | None = data or None
        self.retry_after_s = retry_after_s if retry_after_s is not None else code.value.retry_after_s
