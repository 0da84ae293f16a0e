"""The password of a user: set, changed, found again."""

from dataclasses import dataclass

from core.errors import AppError, Code
from models import audit, sessions, users
from models.db import Database, DuplicateKey, Tx
from models.users import User

UPDATE = "UPDATE users SET username = %s, username_key = %s, password_hash = %s, password_changed_at = %s WHERE id = %s"
SELECT_OTHERS = "SELECT id FROM sessions WHERE user_id = %s AND ended_at IS NULL AND id <> %s"


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """A change that was proven: by the old password (``verified_hash``), else by a recent WeChat login.

    ``username`` for a user who has none. The session ``session_id`` goes on.
    """

    user_id: str
    username: str | None
    password_hash: str
    verified_hash: str | None
    session_id: str
    address: str
    at: int


async def change_password(database: Database, change: PasswordChange) -> tuple[User, list[str]]:
    """Writes it and ends the user's other sessions: the user then, and those sessions.

    Raises 4010, 4011, 4013 when the old password was changed meanwhile, 4090.
    """

    async def work(tx: Tx) -> tuple[User, list[str]]:
        user = await users.lock_self(tx, change.user_id)
        if change.verified_hash is not None and user.password_hash != change.verified_hash:
            raise AppError(Code.WRONG_CREDENTIALS, cause="the password was changed meanwhile")
        fields = ["password"] if user.username else ["password", "username"]
        user.username = user.username or change.username
        if user.username is None:
            raise AppError(Code.INVALID_REQUEST, cause="no username", field="username")
        key = users.username_key(user.username)
        await tx.execute(UPDATE, [user.username, key, change.password_hash, change.at, user.id])
        await _tell(tx, user, change, fields)
        others = [row[0] for row in await tx.fetch(SELECT_OTHERS, [user.id, change.session_id])]
        return user, await sessions.end_within(tx, user, others, "password", change.at)

    try:
        return await database.run(work)
    except DuplicateKey:
        raise AppError(Code.USERNAME_TAKEN) from None


async def _tell(tx: Tx, user: User, change: PasswordChange, fields: list[str]) -> None:
    await users.note_change(tx, user, "user.updated", {"fields": fields}, change.at)
    detail = {"proof": "wechat" if change.verified_hash is None else "password"}
    entry = audit.Entry(change.at, "user.password", f"user:{user.id}", user.id, change.address, detail)
    await audit.insert_entries(tx, [entry])
