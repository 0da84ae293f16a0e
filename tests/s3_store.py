"""A store that speaks as much of the S3 protocol as avatars need, in memory."""

from datetime import UTC, datetime
from typing import ClassVar

from tornado.web import RequestHandler

from app.avatars.bucket import parse_place, sign


class Store(RequestHandler):
    """Objects in memory; a signature that does not fit is 403."""

    objects: ClassVar[dict[str, tuple[str, bytes]]] = {}
    answers: int | None = None

    def prepare(self) -> None:
        request = self.request
        at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        given = {"content-type": request.headers["Content-Type"]} if request.method == "PUT" else {}
        place = parse_place(f"s3+http://key:secret@{request.host}/bucket?region=ap-1")
        expected = sign(place, str(request.method), request.path, given, request.body, at)
        if self.answers or request.headers["Authorization"] != expected["authorization"]:
            self.set_status(self.answers or 403)
            self.finish()

    def put(self) -> None:
        self.objects[self.request.path] = (self.request.headers["Content-Type"], self.request.body)

    def get(self) -> None:
        if self.request.path in self.objects:
            self.finish(self.objects[self.request.path][1])
        else:
            self.set_status(404)
            self.finish("<Error><Code>NoSuchKey</Code></Error>")

    def delete(self) -> None:
        self.objects.pop(self.request.path, None)
        self.set_status(204)
