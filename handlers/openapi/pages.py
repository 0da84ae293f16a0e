"""Pages and files."""

from core.errors import Code
from handlers.openapi.operation import HTML, Operation, Reply, plain

PAGE = Reply("The page.", media=(HTML,))
KNOWN = Reply("The browser has it already.", status=304)

OPERATIONS = {
    "GET /": Operation(
        summary="The demo, in development only",
        replies=(PAGE,),
        raises=(Code.NOT_FOUND,),
    ),
    "GET /docs": Operation(
        summary="This documentation as a page",
        replies=(PAGE,),
        raises=(Code.NOT_FOUND,),
    ),
    "GET /openapi.json": Operation(
        summary="This documentation as OpenAPI 3.1",
        replies=(plain(dict[str, object], "The document."), KNOWN),
        raises=(Code.NOT_FOUND,),
    ),
    "GET /postman.json": Operation(
        summary="This documentation as a Postman collection",
        replies=(plain(dict[str, object], "The collection, format 2.1."), KNOWN),
        raises=(Code.NOT_FOUND,),
    ),
    "GET /web/{path}": Operation(
        summary="Scripts, style sheets and pictures of the pages",
        replies=(
            Reply("The file.", media=("text/javascript", "text/css", "image/svg+xml")),
            KNOWN,
        ),
        raises=(Code.NOT_FOUND,),
    ),
    "GET /s/{scanId}": Operation(
        summary="Where our QR leads: the page for the phone",
        replies=(PAGE, Reply("To WeChat's OAuth and back.", status=302, headers={"Location": "where to"})),
        raises=(Code.DATABASE_UNAVAILABLE, Code.CACHE_UNAVAILABLE),
    ),
    "GET /s/{scanId}/miniprogram": Operation(
        summary="The code that opens the mini-program at this scan",
        replies=(Reply("The picture.", media=("image/png", "image/jpeg")),),
        raises=(
            Code.NOT_FOUND,
            Code.UNKNOWN_APP,
            Code.RATE_LIMITED,
            Code.WX_RATE_LIMITED,
            Code.CACHE_UNAVAILABLE,
            Code.WX_BAD_REPLY,
            Code.WX_UNAVAILABLE,
            Code.WX_TIMEOUT,
        ),
    ),
}
