"""Username and password: who it is, and a better hash while the password is at hand."""

from app.crypto.passwords import Passwords
from app.users import rules
from core.errors import AppError, Code
from models import users
from models.db import Database
from models.users import User

TRIES = 3  # each lost race means that somebody else stored a new hash meanwhile


class PasswordCheck:
    """``get_user`` raises 4013, 5001 and 5003."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def get_user(self, username: str, password: str) -> User:
        """The user of that name and password; an imported bcrypt hash was replaced when this returns."""
        for _ in range(TRIES):
            user = await self._find_user(username)
            stored = user.password_hash if user else None
            if not await self._passwords.verify(stored, password) or user is None or stored is None:
                raise AppError(Code.WRONG_CREDENTIALS, user_id=user.id if user else None)
            if not self._passwords.is_outdated(stored) or await self._replace(user, stored, password):
                return user
        raise AppError(Code.WRONG_CREDENTIALS, cause="the password was changed meanwhile")

    async def _find_user(self, username: str) -> User | None:
        """Only what could have been registered: the Kelvin sign is no k."""
        return await users.find_by_username(self._database, username) if rules.is_username(username) else None

    async def _replace(self, user: User, stored: str, password: str) -> bool:
        user.password_hash = await self._passwords.hash(password)
        return await users.replace_password_hash(self._database, user.id, stored, user.password_hash)
