"""QR login, as browser and phone see it: each method is one call of the contract.

What the QR shows (the scan's id) suffices for nothing but to scan it: reading and redeeming take the browser's
secret, which is kept as a hash and compared in constant time; a wrong one is answered like an id that is not known.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.auth.devices import name_machine, name_program
from app.auth.grants import Client, Grant, Grants
from app.auth.limits import Limits
from app.auth.tokens import Claims
from app.scan.channels import Channels, Entrance
from app.scan.commands import CreateScan, RedeemScan
from app.scan.hub import Hub, Waiter
from app.scan.regions import Regions
from app.scan.transitions import (
    ADOPT,
    CANCEL,
    CONFIRM,
    EXPIRE,
    EXPIRED,
    FINISHED,
    LIFE_MS,
    MATCH_ATTEMPTS,
    OPEN,
    PENDING,
    REDEEM,
    SCAN,
    Action,
    make_frame,
)
from app.users.profile import Profiles
from app.users.views import rfc3339
from app.wechat.image_wire import Image
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from core.observe import metrics
from core.settings import Settings
from models import scans
from models.db import Database
from models.directory import find_ids_by_openid
from models.kv import Kv
from models.scans import Outcome, Scan, Step

WX = "wx:"
SHOWN = "shown"  # what the metrics call the beginning
IMAGE, MINIPROGRAM = "image", "miniprogram"
POLL_S = 1.5
WAIT_MAX_S = 25
ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class Scans:
    """Every method raises 5002 while Redis is away, and 4040 for a scan that is not known."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        kv: Kv,
        clock: Clock,
        hub: Hub,
        channels: Channels,
        limits: Limits,
        grants: Grants,
        profiles: Profiles,
        regions: Regions,
    ) -> None:
        self._settings = settings
        self._database = database
        self._kv = kv
        self._clock = clock
        self._hub = hub
        self._channels = channels
        self._limits = limits
        self._grants = grants
        self._profiles = profiles
        self._regions = regions
        hub.expire = self.expire

    # --- the browser ---

    async def create(self, command: CreateScan, site: str, client: Client) -> dict[str, Any]:
        """A new scan for a page of ``site`` (its origin); raises 4042, 4290, and 5020 … 5040 for a code of WeChat's."""
        await self._limits.count_scan(client.network)
        now, scan_id, secret = self._clock.now_ms(), self._clock.token(128), self._clock.token(256)
        shown = await self._channels.make(command.channel, command.appid, scan_id, self._deadline())
        scan = Scan(
            id=scan_id,
            state=PENDING,
            version=1,
            ends_at=now + LIFE_MS,
            secret=hash_secret(secret),
            channel=command.channel,
            appid=shown.appid,
            content=shown.content,
            site=site,
            browser=describe_browser(client),
            created_at=now,
            match_code=f"{int.from_bytes(self._clock.random_bytes(4)) % 100:02d}",
        )
        await scans.insert_scan(self._kv, scan, now)
        if shown.image:
            await scans.keep_image(self._kv, scan_id, IMAGE, shown.image, LIFE_MS)
        metrics.SCANS.inc(SHOWN, scan.channel)
        return {
            "scanId": scan_id,
            "pollSecret": secret,
            "state": PENDING,
            "version": 1,
            "qrContent": shown.content,
            "imageUrl": self._channels.image_url(scan),
            "matchCode": scan.match_code,
            "expiresIn": LIFE_MS // 1000,
            "pollInterval": POLL_S,
        }

    async def watch(self, scan_id: str, secret: str) -> Scan:
        """The scan of that id and secret, as it is now; raises 4040."""
        return await self._opened(await self._hub.read(scan_id) if self.is_id(scan_id) else None, secret)

    async def poll(self, scan_id: str, secret: str) -> dict[str, Any]:
        """``{state, version, expiresIn, user?, ticket?}`` at once; raises 4293."""
        scan = await self.watch(scan_id, secret)
        self._hub.check_pace(scan_id, POLL_S)
        return self.view(scan)

    async def wait(
        self, scan_id: str, secret: str, version: int, wait_s: float, network: str, waiter: Waiter
    ) -> dict[str, Any]:
        """The same once the version is above ``version``, nothing more can come, or the time is up; raises 4290."""
        scan = await self.watch(scan_id, secret)
        if scan.version < version:  # another instance told of a step whose message is still on its way here
            scan = await self._opened(await self._find(scan_id), secret)
        if scan.version <= version and scan.state in OPEN:
            await self._hub.wait(scan_id, network, waiter, min(wait_s, WAIT_MAX_S))
            scan = await self.watch(scan_id, secret)
        return self.view(scan)

    async def redeem(self, scan_id: str, command: RedeemScan, client: Client) -> dict[str, Any]:
        """A session for the browser, once; raises 4040 (also for a wrong ticket), 4093, 4100, 4101, 4102.

        The session's id was fixed by the confirmation, and the database takes an id once: that decides which of many
        wins, whatever becomes of Redis. The scan says so afterwards.
        """
        scan = await self._opened(await self._find(scan_id), command.poll_secret)
        _check_state(scan.state, REDEEM)
        if not hmac.compare_digest(scan.ticket.encode(), command.ticket.encode()):
            raise AppError(Code.NOT_FOUND, cause="a wrong ticket")
        told = {"channel": scan.channel, "appid": scan.appid or None, "site": scan.site}
        signed_in = await self._grants.begin(client, "scan", session_id=scan.session_id, user_id=scan.by, scan=told)
        await self._try_move(scan, REDEEM)
        return self._grants.reply(Grant(signed_in))

    async def expire(self, scan_id: str) -> None:
        """Its time is over: says so to all, once."""
        found = await scans.find_scan(self._kv, scan_id)
        if found:
            await self._move(found, EXPIRE)

    def view(self, scan: Scan) -> dict[str, Any]:
        """What a poll is answered."""
        frame = self.frame(scan)
        del frame["type"]
        return frame

    def frame(self, scan: Scan) -> dict[str, Any]:
        """What a socket is told of the scan as it is."""
        left_ms = scan.ends_at - self._clock.now_ms()
        return {"version": scan.version, **make_frame(scan.state, left_ms, scan.user, scan.ticket)}

    # --- the phone ---

    async def scan(self, claims: Claims, scan_id: str, language: str) -> dict[str, Any]:
        """The user has scanned it; what the confirm screen shows, the region in ``zh`` or ``en``.

        Raises 4030, 4100, 4101, 4102.
        """
        scan, user = await asyncio.gather(self._find_for(claims, scan_id), self._shown_user(claims.sub))
        changes = {"by": claims.sub, "user": scans.dump_frame(user)}
        if await self._is_known_as(claims.sub, scan.by):
            state = await self._act(scan, ADOPT, scan.by, user=user, changes=changes)
        else:
            state = await self._act(scan, SCAN, claims.sub, user=user, changes=changes)
        return self._confirm_screen(scan, state, language)

    async def scan_by_wechat(self, scan_id: str, appid: str, openid: str) -> None:
        """WeChat says that this openid has scanned it; who it is shows now, or when they open the link.

        A scan that is over, or another's, stays as it is.
        """
        scan = await scans.find_scan(self._kv, scan_id)
        if scan is None or scan.appid != appid:
            return
        owner = next(iter(await find_ids_by_openid(self._database, [appid], [openid])), None)
        by = owner or f"{WX}{appid}:{openid}"
        user = await self._shown_user(owner) if owner else None
        changes = {"by": by, "user": scans.dump_frame(user)} if user else {"by": by}
        await self._move(scan, SCAN, by=by, user=user, changes=changes)

    async def confirm(self, claims: Claims, scan_id: str, match_code: str | None) -> dict[str, Any]:
        """The browser may sign in; raises 4030, 4036, 4093, 4100, 4101, 4102."""
        scan = await self._find_for(claims, scan_id)
        ticket = self._clock.token(128)
        changes = {"ticket": ticket, "session_id": self._clock.new_id()}
        state = await self._act(
            scan, CONFIRM, claims.sub, user=scan.user, ticket=ticket, match_code=match_code or "", changes=changes
        )
        return {"state": state}

    async def confirm_for(self, user_id: str, scan_id: str) -> str:
        """A partner vouches that the user means this scan: scans and confirms it; returns the state.

        Raises 4030 if somebody else has scanned it, 4040, 4093, 4100, 4101, 4102.
        """
        scan = await self._find(scan_id)
        user = await self._shown_user(user_id)
        await self._act(scan, SCAN, user_id, user=user, changes={"by": user_id, "user": scans.dump_frame(user)})
        ticket = self._clock.token(128)
        changes = {"ticket": ticket, "session_id": self._clock.new_id()}
        return await self._act(scan, CONFIRM, user_id, user=user, ticket=ticket, changes=changes)

    async def cancel(self, claims: Claims, scan_id: str) -> dict[str, Any]:
        """The browser may not; raises 4030, 4093, 4100, 4101, 4102."""
        return {"state": await self._act(await self._find_for(claims, scan_id), CANCEL, claims.sub)}

    # --- pictures ---

    async def image(self, scan_id: str, form: str) -> Image:
        """(media type, picture) of the code: ``svg`` or ``png``; one that WeChat made is as it made it."""
        scan = await self._find(scan_id)
        kept = await scans.find_image(self._kv, scan_id, IMAGE)
        return self._channels.draw(scan, form, kept)

    async def miniprogram_image(self, scan_id: str, network: str) -> Image:
        """The code that opens the first mini-program at this scan, for who came by our own QR; raises 4290, 5020 …"""
        scan, now = await self._find(scan_id), self._clock.now_ms()
        kept = await scans.find_image(self._kv, scan_id, MINIPROGRAM)
        if kept:
            return kept
        if scan.state not in OPEN or now >= scan.ends_at:
            raise AppError(Code.NOT_FOUND)
        await self._limits.count_scan(network)
        image = await self._channels.draw_first_miniprogram(scan_id, self._deadline())
        await scans.keep_image(self._kv, scan_id, MINIPROGRAM, image, scan.ends_at - now)
        return image

    # --- the page for the phone ---

    def is_id(self, scan_id: str) -> bool:
        """Whether it has the form of an id."""
        return ID.fullmatch(scan_id) is not None

    async def find_entrance(self, scan_id: str) -> Entrance | None:
        """Where the phone may sign in; None for a scan that is not known or over."""
        scan = await scans.find_scan(self._kv, scan_id) if self.is_id(scan_id) else None
        if scan is None or scan.state not in OPEN or self._clock.now_ms() >= scan.ends_at:
            return None
        return self._channels.find_entrance(scan)

    # --- steps ---

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._settings.wx_budget_s)

    async def _find(self, scan_id: str) -> Scan:
        scan = await scans.find_scan(self._kv, scan_id) if self.is_id(scan_id) else None
        if scan is None:
            raise AppError(Code.NOT_FOUND)
        return scan

    async def _find_for(self, claims: Claims, scan_id: str) -> Scan:
        """The scan, and the step is counted against its user's limit: both in one trip to Redis."""
        scan, _ = await asyncio.gather(self._find(scan_id), self._limits.count_scan_step(claims.sub))
        return scan

    async def _act(self, scan: Scan, action: Action, by: str, **step: Any) -> str:
        """The state the scan has come to; raises for whatever the table of transitions does not allow."""
        outcome = await self._move(scan, action, by=by, **step)
        if outcome.word == "other":
            raise AppError(Code.FORBIDDEN, cause="somebody else has scanned it")
        if outcome.word == "mismatch":
            raise AppError(Code.WRONG_MATCH_CODE, attemptsLeft=max(0, outcome.attempts_left))
        if outcome.word == "gone":
            raise AppError(Code.NOT_FOUND)
        if outcome.word == "refused" and outcome.state not in action.again:
            _check_state(outcome.state, action)
        return outcome.state

    async def _move(
        self,
        scan: Scan,
        action: Action,
        *,
        by: str = "",
        user: Mapping[str, str] | None = None,
        ticket: str = "",
        match_code: str = "",
        changes: Mapping[str, str] | None = None,
    ) -> Outcome:
        now = self._clock.now_ms()
        ends_at = now if action.life_ms is None else now + action.life_ms if action.life_ms else scan.ends_at
        frame = make_frame(action.to, ends_at - now, user, ticket)
        step = Step(action.leaves, action.to, ends_at, frame, by, match_code, MATCH_ATTEMPTS, changes or {})
        outcome = await scans.move_scan(self._kv, scan.id, step, now)
        self._count(scan, outcome)
        return outcome

    def _count(self, scan: Scan, outcome: Outcome) -> None:
        if outcome.word == "moved":
            metrics.SCANS.inc(outcome.state, scan.channel)
        elif outcome.word == "mismatch" and outcome.attempts_left == 0:
            metrics.SCANS.inc(CANCEL.to, scan.channel)
        elif outcome == Outcome("refused", EXPIRED, 0) and scan.state in OPEN:
            metrics.SCANS.inc(EXPIRED, scan.channel)

    async def _try_move(self, scan: Scan, action: Action) -> None:
        try:
            await self._move(scan, action)
        except AppError:  # the session is open; the scan ends by its time
            return

    async def _opened(self, scan: Scan | None, secret: str) -> Scan:
        if scan is None or not hmac.compare_digest(scan.secret, hash_secret(secret)):
            raise AppError(Code.NOT_FOUND)
        if scan.state not in OPEN or self._clock.now_ms() < scan.ends_at:
            return scan
        if (await self._move(scan, EXPIRE)).state != EXPIRED:
            return await self._find(scan.id)  # it went on meanwhile, and has more time
        return replace(scan, state=EXPIRED, version=scan.version + 1)

    async def _is_known_as(self, user_id: str, by: str) -> bool:
        """Whether ``by`` is an openid of the user."""
        appid, _, openid = by.removeprefix(WX).partition(":")
        if not by.startswith(WX):
            return False
        return user_id in await find_ids_by_openid(self._database, [appid], [openid])

    async def _shown_user(self, user_id: str) -> dict[str, str]:
        profile = await self._profiles.get(user_id)
        return {"nickname": profile["nickname"], "avatarUrl": profile["avatarUrl"]}

    def _confirm_screen(self, scan: Scan, state: str, language: str) -> dict[str, Any]:
        region = self._regions.find(scan.browser["address"], language)
        return {
            "state": state,
            "matchCode": scan.match_code,
            "browser": {**scan.browser, "region": region} if region else dict(scan.browser),
            "site": scan.site,
            "requestedAt": rfc3339(scan.created_at),
        }


def hash_secret(secret: str) -> str:
    """As it is kept: hex SHA-256; 256 random bits need no more."""
    return hashlib.sha256(secret.encode()).hexdigest()


def describe_browser(client: Client) -> dict[str, str]:
    """``{name, os, address}`` for the confirm screen."""
    return {"name": name_program(client.device), "os": name_machine(client.device), "address": client.address}


def _check_state(state: str, action: Action) -> None:
    if state in FINISHED:
        raise AppError(FINISHED[state])
    if state not in action.leaves:
        raise AppError(Code.WRONG_STATE, state=state)
