"""For supervisors and load balancers."""

from app.replies import Readiness
from handlers.openapi.operation import Operation, Reply, plain

OPERATIONS = {
    "GET /healthz": Operation(
        summary="The process lives",
        replies=(Reply("`ok`", media=("text/plain",)),),
    ),
    "GET /readyz": Operation(
        summary="Whether requests may come",
        replies=(plain(Readiness, "They may."), plain(Readiness, "They may not.", 503)),
    ),
}
