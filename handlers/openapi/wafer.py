"""What clients of Tencent's retired Wafer SDK call."""

from pydantic import TypeAdapter

from app.commands import WxCode
from app.replies import WaferLogin, WaferProfile
from core.errors import Code
from handlers.openapi.operation import Form, Operation, Parameter, header, plain
from handlers.openapi.signing_in import OF_LOGIN

CODE = TypeAdapter(WxCode).json_schema()
LOGIN = Operation(
    summary="Log in as the Wafer SDK does",
    says="All is in the headers; `code` 0 is a success.",
    parameters=(
        Parameter("X-WX-Code", "header", "a code of `wx.login`", CODE, required=True),
        header("X-WX-Encrypted-Data", "open data, to fill the profile"),
        header("X-WX-IV", "its iv"),
    ),
    replies=(plain(WaferLogin, "Signed in, by the `skey`."),),
    raises=OF_LOGIN,
    failures=Form.WAFER,
)

OPERATIONS = {
    "GET /weapp/login": LOGIN,
    "POST /weapp/login": LOGIN,
    "GET /weapp/user": Operation(
        summary="Who a skey belongs to",
        parameters=(Parameter("X-WX-Skey", "header", "the skey", required=True),),
        replies=(plain(WaferProfile, "The user."),),
        raises=(Code.UNAUTHENTICATED, Code.SESSION_REVOKED, Code.ACCOUNT_DISABLED, Code.DATABASE_UNAVAILABLE),
        failures=Form.WAFER,
    ),
}
