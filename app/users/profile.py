"""The user's own data: read, changed, filled from WeChat."""

from collections.abc import Callable, Sequence
from typing import Any

from app.apps import Apps
from app.auth.tokens import Claims
from app.commands import BindPhone, OpenDataFields, UpdateInfo
from app.crypto.sealing import BlindIndex, Sealer
from app.users import rules
from app.users.nickname_check import NicknameCheck
from app.users.open_data import OpenData
from app.users.views import UserViews, phone_context
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from models import avatars, identities, users
from models.batch import Batcher
from models.db import Database
from models.identities import Binding
from models.users import User

ANONYMOUS = "微信用户"  # what WeChat gives since 2022 instead of a nickname

Profile = tuple[User, list[Binding]]


class Profiles:
    """Everything under ``/api/user``; raises 4010 when the user is gone, and 5001."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        index: BlindIndex,
        apps: Apps,
        open_data: OpenData,
        wechat: WeChatClient,
        access_tokens: AccessTokens,
        nicknames: NicknameCheck,
        *,
        avatar_base: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._index = index
        self._apps = apps
        self._open_data = open_data
        self._wechat = wechat
        self._access_tokens = access_tokens
        self._nicknames = nicknames
        self._avatar_base = avatar_base
        self._views = UserViews(sealer)
        self.on_update: Callable[[str], None] = lambda _user_id: None
        self._reads: Batcher[str, Profile | None] = Batcher(self._read, name="profile", max_items=128, lanes=2)

    async def get(self, user_id: str) -> dict[str, Any]:
        """``user`` with its bindings."""
        profile = await self._reads.submit(user_id)
        user, bindings = profile or (None, [])
        return self._views.own(users.present(user), bindings)

    async def is_alias(self, user_id: str, of: str) -> bool:
        """Whether that id was given out to the user before a merge."""
        found = await users.find_survivors(self._database, [user_id])
        return user_id in found and found[user_id].id == of

    async def update(self, claims: Claims, command: UpdateInfo, deadline: Deadline) -> dict[str, Any]:
        """Changes what the command names; raises 4000 and, for an e-mail in use, 4092."""
        changes: dict[str, Any] = {}
        if "nickname" in command.model_fields_set:
            changes["nickname"] = rules.check_nickname(command.nickname)
            await self._nicknames.check(claims, command.nickname, deadline)
        if "avatar_url" in command.model_fields_set:
            changes["avatar_url"] = await self._checked_avatar(claims.sub, command.avatar_url)
        if "email" in command.model_fields_set:
            email = rules.check_email(command.email)
            changes["email"] = (email, email.lower() if email else None)
        return self._views.public(await self._write(claims.sub, changes))

    async def set_avatar(self, user_id: str, name: str) -> str:
        """Makes an uploaded file the user's avatar; its URL."""
        url = f"{self._avatar_base}/{name}"
        await self._write(user_id, {"avatar_url": url})
        return url

    async def bind_phone(self, claims: Claims, command: BindPhone, deadline: Deadline) -> dict[str, Any]:
        """Binds the phone WeChat vouches for; returns it masked."""
        if command.code is not None:
            user = await self.bind_phone_by_code(claims, command.appid, command.code, deadline)
        else:
            opened = await self._open_data.open(claims, command.appid, command.encrypted_data or "", command.iv or "")
            user = await self._write(opened.user_id, self._phone_change(opened.user_id, _phone_in(opened.data)))
        return {"phone": self._views.public(user)["phone"]}

    async def bind_phone_by_code(self, claims: Claims, appid: str | None, code: str, deadline: Deadline) -> User:
        """Asks WeChat for the phone behind a code of ``bindgetphonenumber`` and binds it."""
        app = self._apps.get_miniprogram(appid or claims.appid)
        openid = await identities.find_openid(self._database, claims.sub, app.appid)
        info = await self._access_tokens.call(
            app,
            deadline,
            lambda token: self._wechat.get_user_phone_number(app, token, code, deadline, openid),
        )
        phone = info.phone_number if info.country_code != "86" else info.pure_phone_number
        return await self._write(claims.sub, self._phone_change(claims.sub, phone))

    async def fill(self, claims: Claims, appid: str | None, command: OpenDataFields) -> User:
        """Fills nickname, avatar or phone from open data; returns the user as it is then."""
        opened = await self._open_data.open(
            claims, appid, command.encrypted_data or "", command.iv or "", command.raw_data, command.signature
        )
        return await self._write(opened.user_id, self._changes_in(opened.user_id, opened.data))

    async def fill_gaps(self, user: User, nickname: str, avatar_url: str) -> User:
        """Nickname and avatar as WeChat has them, where the user has none; returns the user as it is then."""
        found = self._changes_in(user.id, {"nickName": nickname, "avatarUrl": avatar_url})
        changes = {name: value for name, value in found.items() if not getattr(user, name)}
        return await self._write(user.id, changes) if changes else user

    def clean(self, nickname: str, avatar_url: str) -> tuple[str, str]:
        """Both as they may be stored, empty where WeChat tells none."""
        found = self._changes_in("", {"nickName": nickname, "avatarUrl": avatar_url})
        return found.get("nickname", ""), found.get("avatar_url", "")

    async def _checked_avatar(self, user_id: str, url: str) -> str:
        """An https URL, or that of the user's own uploaded avatar; raises 4000."""
        base, _, name = url.rpartition("/")
        if base != self._avatar_base:
            return rules.check_avatar_url(url)
        if not await avatars.is_in_use(self._database, name, user_id):
            raise AppError(Code.INVALID_REQUEST, field="avatarUrl")
        return url

    async def _write(self, user_id: str, changes: dict[str, Any]) -> User:
        user = await users.update_user(self._database, user_id, changes, self._clock.now_ms())
        self.on_update(user_id)
        return user

    def _changes_in(self, user_id: str, data: dict[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        nickname = rules.clean_nickname(str(data.get("nickName") or ""))
        if nickname.strip() and nickname != ANONYMOUS:
            changes["nickname"] = nickname
        avatar_url = rules.clean_avatar_url(str(data.get("avatarUrl") or ""))
        if avatar_url and nickname != ANONYMOUS:
            changes["avatar_url"] = avatar_url
        if data.get("phoneNumber"):
            changes |= self._phone_change(user_id, _phone_in(data))
        return changes

    def _phone_change(self, user_id: str, phone: str) -> dict[str, Any]:
        return {"phone": (self._sealer.seal(phone, phone_context(user_id)), self._index.of(phone))}

    async def _read(self, ids: list[str]) -> Sequence[Profile | None]:
        unique = list(set(ids))
        found = await users.find_users(self._database, unique)
        bindings = await identities.find_bindings(self._database, unique)
        return [(found[one], bindings.get(one, [])) if one in found else None for one in ids]


def _phone_in(data: dict[str, Any]) -> str:
    """The number as the code way gives it: without prefix for mainland China. Raises 4003 if there is none."""
    is_mainland = str(data.get("countryCode", "86")) == "86"
    phone = data.get("purePhoneNumber" if is_mainland else "phoneNumber")
    if not isinstance(phone, str) or not phone:
        raise AppError(Code.DECRYPT_FAILED, cause="open data without a phone", reason="malformed")
    return phone
