"""QR login."""

from app.commands import Command
from app.replies import ConfirmScreen, NewScan, ScanState, ScanStep
from app.scan.commands import ConfirmScan, CreateScan, RedeemScan
from core.errors import Code
from handlers.openapi.operation import OF_WECHAT, Access, Operation, Parameter, Reply, data, query
from handlers.openapi.signing_in import SIGNED_IN

OVER = (Code.SCAN_EXPIRED, Code.SCAN_REDEEMED, Code.SCAN_CANCELLED)
OF_STEP = (Code.FORBIDDEN, Code.NOT_FOUND, *OVER, Code.RATE_LIMITED, Code.CACHE_UNAVAILABLE)
SVG, PNG, JPEG = "image/svg+xml", "image/png", "image/jpeg"
IMAGE = Reply("The picture; one that WeChat made is as it made it.", media=(SVG, PNG, JPEG))

OPERATIONS = {
    "POST /api/scan": Operation(
        summary="Begin a QR login",
        says="From a page whose `Origin` is allowed. What the QR shows suffices for nothing but to scan it; "
        "`pollSecret` stays with the browser.",
        body=CreateScan,
        example={"channel": "page"},
        replies=(data(NewScan, "What to show, and what to poll with.", 201),),
        raises=(*OF_WECHAT, Code.BAD_ORIGIN, Code.RATE_LIMITED),
    ),
    "GET /api/scan/{scanId}": Operation(
        summary="How a scan stands",
        says="With `wait` the answer comes when the version passes `version`, or the time is up; without, not more "
        "often than `pollInterval` (4293). A wrong secret is answered like an unknown id.",
        parameters=(
            Parameter("X-Poll-Secret", "header", "the secret of the browser that began it", required=True),
            query("wait", "seconds to wait for a change, 25 at most", type="integer", minimum=0, maximum=999999),
            query("version", "the version that is known", type="integer", minimum=0, maximum=999999),
        ),
        replies=(data(ScanState, "As it stands."),),
        raises=(Code.NOT_FOUND, Code.RATE_LIMITED, Code.SLOW_DOWN, Code.CACHE_UNAVAILABLE),
    ),
    "GET /api/scan/{scanId}/qr.svg": Operation(
        summary="The QR as SVG",
        replies=(IMAGE,),
        raises=(Code.NOT_FOUND, Code.CACHE_UNAVAILABLE),
    ),
    "GET /api/scan/{scanId}/qr.png": Operation(
        summary="The QR as PNG",
        replies=(IMAGE,),
        raises=(Code.NOT_FOUND, Code.CACHE_UNAVAILABLE),
    ),
    "GET /api/scan/{scanId}/ws": Operation(
        summary="WebSocket: what becomes of a scan",
        says='The first message is `{"type": "AUTH", "pollSecret": "…", "version": 1}`, within 5 seconds; then comes '
        "the state as it is, and each change.",
        replies=(Reply("The WebSocket is open.", status=101),),
        raises=(Code.BAD_ORIGIN, Code.RATE_LIMITED),
    ),
    "POST /api/scan/{scanId}/redeem": Operation(
        summary="The browser signs in with its ticket",
        says="Once; the ticket is in the state of a confirmed scan.",
        body=RedeemScan,
        example={"pollSecret": "6GkXr2…", "ticket": "Qm3v…", "cookie": False},
        replies=(SIGNED_IN,),
        raises=(
            Code.ACCOUNT_DISABLED,
            Code.NOT_FOUND,
            Code.WRONG_STATE,
            *OVER,
            Code.CACHE_UNAVAILABLE,
            Code.DATABASE_UNAVAILABLE,
        ),
    ),
    "POST /api/scan/{scanId}/scan": Operation(
        summary="The phone has scanned",
        access=Access.USER,
        body=Command,
        example={},
        replies=(data(ConfirmScreen, "What the confirm screen shows."),),
        raises=OF_STEP,
    ),
    "POST /api/scan/{scanId}/confirm": Operation(
        summary="The user lets the browser in",
        says="Only who scanned may. `matchCode` where the user was asked for the number on the screen; the third wrong "
        "one cancels.",
        access=Access.USER,
        body=ConfirmScan,
        example={"matchCode": "42"},
        replies=(data(ScanStep, "Confirmed."),),
        raises=(*OF_STEP, Code.WRONG_STATE, Code.WRONG_MATCH_CODE),
    ),
    "POST /api/scan/{scanId}/cancel": Operation(
        summary="The user does not let the browser in",
        access=Access.USER,
        body=Command,
        example={},
        replies=(data(ScanStep, "Cancelled."),),
        raises=(*OF_STEP, Code.WRONG_STATE),
    ),
}
