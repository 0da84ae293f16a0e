"""Keeps a copy of Kaimen's users in SQLite, from the stream of events or from webhooks.

    KAIMEN_URL=http://127.0.0.1:8000 KAIMEN_SERVICE=crm:kms_… python consumer.py stream redis://127.0.0.1:6379/0
    KAIMEN_URL=http://127.0.0.1:8000 KAIMEN_SERVICE=crm:kms_… WEBHOOK_SECRET=whsec_… python consumer.py webhook 9100

The service needs the scope users:read. An event says that something changed; what it is now, is looked up. So an event
that comes twice, or late, does no harm: the copy becomes what Kaimen has. Needs redis (``pip install redis``) for the
stream, and nothing but Python for webhooks.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STREAM, GROUP, CONSUMER = "kaimen:events", "users-copy", "one"
WINDOW_S = 300
TABLES = """
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, nickname TEXT, phone TEXT, email TEXT, roles TEXT);
CREATE TABLE IF NOT EXISTS aliases (id TEXT PRIMARY KEY, user_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS progress (user_id TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""
Event = Mapping[str, Any]
Lookup = Callable[[str], "dict[str, Any] | None"]


class UsersCopy:
    """``handle(event)`` brings the copy up to date; safe from several threads, and when events come again."""

    def __init__(self, path: str, lookup: Lookup) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.executescript(TABLES)

    def handle(self, event: Event) -> bool:
        """False if it was seen before, or concerns no user. What it changed and how far we are, is one transaction."""
        with self._lock, self.db:
            user_id, seq = event["subject"], event["seq"]
            if user_id is None or seq <= self._reached(user_id):
                return False
            self._apply(event["type"], user_id, event["data"])
            self.db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (user_id, seq))
            return True

    def _reached(self, user_id: str) -> int:
        row = self.db.execute("SELECT seq FROM progress WHERE user_id = ?", (user_id,)).fetchone()
        return row[0] if row else 0

    def _apply(self, kind: str, user_id: str, data: Mapping[str, Any]) -> None:
        if kind == "user.merged":
            self._forget(data["mergedUserId"])
            self.db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (data["mergedUserId"], user_id))
        elif kind == "user.unmerged":
            self.db.execute("DELETE FROM aliases WHERE id = ?", (data["restoredUserId"],))
            self._refresh(data["restoredUserId"])
        if kind == "user.deleted":
            self._forget(user_id)
            self.db.execute("DELETE FROM aliases WHERE user_id = ?", (user_id,))
        elif kind.startswith("user."):
            self._refresh(user_id)

    def _refresh(self, user_id: str) -> None:
        """As the user is now: gone, if it was deleted since; another, if it was merged since."""
        user = self._lookup(user_id)
        if user is None or user["id"] != user_id:
            self._forget(user_id)
        if user is None:
            return
        row = (user["id"], user["nickname"], user["phone"], user["email"], json.dumps(user["roles"]))
        self.db.execute("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?)", row)

    def _forget(self, user_id: str) -> None:
        self.db.execute("DELETE FROM users WHERE id = ?", (user_id,))


def lookup_at(url: str, service: str) -> Lookup:
    """Asks Kaimen for one user; ``service`` is ``name:secret``."""
    basic = base64.b64encode(service.encode()).decode()

    def lookup(user_id: str) -> dict[str, Any] | None:
        request = urllib.request.Request(
            f"{url}/api/service/users/lookup",
            json.dumps({"ids": [user_id]}).encode(),
            {"Authorization": f"Basic {basic}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            users: list[dict[str, Any]] = json.load(response)["data"]["users"]
        return users[0] if users else None

    return lookup


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Standard Webhooks: HMAC-SHA256 over id, timestamp and body as it came; not older than five minutes."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > WINDOW_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    wanted = "v1," + base64.b64encode(digest).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(wanted, one) for one in given)


def follow_stream(copy: UsersCopy, redis_url: str, stopped: threading.Event) -> None:
    """Reads with a consumer group: first what was delivered and not acknowledged, then what is new."""
    import redis

    client = redis.Redis.from_url(redis_url, decode_responses=True)
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    after = "0"
    while not stopped.is_set():
        found = client.xreadgroup(GROUP, CONSUMER, {STREAM: after}, count=100, block=500)
        entries = found[0][1] if found else []
        for entry_id, fields in entries:
            if fields:  # an entry the stream no longer has is empty
                copy.handle(event_of(fields))
            client.xack(STREAM, GROUP, entry_id)
        if not entries:
            after = ">"
    client.close()


def event_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """An entry of the stream as the event it is."""
    return {
        **fields,
        "seq": int(fields["seq"]),
        "subject": fields["subject"] or None,
        "data": json.loads(fields["data"]),
    }


def make_server(copy: UsersCopy, secret: str, port: int) -> ThreadingHTTPServer:
    """A server for webhooks: 204 for what was dealt with, 401 for a forgery, 500 (it comes again) when we fail."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not is_genuine(secret, self.headers, body, time.time()):  # type: ignore[arg-type]
                self.answer(401)
                return
            try:
                copy.handle(json.loads(body))
            except (OSError, sqlite3.Error):
                self.answer(500)
                return
            self.answer(204)

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """See the top."""
    mode, where = sys.argv[1:]
    copy = UsersCopy("users.db", lookup_at(os.environ["KAIMEN_URL"], os.environ["KAIMEN_SERVICE"]))
    if mode == "stream":
        follow_stream(copy, where, threading.Event())
    else:
        make_server(copy, os.environ["WEBHOOK_SECRET"], int(where)).serve_forever()


if __name__ == "__main__":
    main()
