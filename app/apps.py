"""The WeChat applications of the settings, by appid."""

from collections.abc import Callable

from core.errors import AppError, Code
from core.settings import App


class Apps:
    """Finds the app a client means; ``listeners`` are told when ``replace`` takes over others."""

    def __init__(self, apps: tuple[App, ...]) -> None:
        self.listeners: list[Callable[[list[App]], None]] = []
        self.replace(apps)

    def replace(self, apps: tuple[App, ...]) -> None:
        """These are the apps from now on; one that is disabled is as unknown as one that is not there."""
        self._known = {app.appid for app in apps}
        enabled = [app for app in apps if not app.disabled]
        self._apps = {app.appid: app for app in enabled}
        for listener in self.listeners:
            listener(enabled)

    @property
    def appids(self) -> set[str]:
        """All that are configured, the disabled ones too: they have users."""
        return self._known

    def get(self, appid: str) -> App:
        """The app of that appid, of whatever kind; raises 4042."""
        app = self._apps.get(appid)
        if app is None:
            raise AppError(Code.UNKNOWN_APP)
        return app

    def find_miniprogram(self, appid: str | None) -> App | None:
        """The mini-program of that appid, else the first one."""
        app = self._apps.get(appid) if appid else None
        return app if app and app.kind == "miniprogram" else self.find_first("miniprogram")

    def get_miniprogram(self, appid: str | None) -> App:
        """The mini-program of that appid, or the first one; raises 4042."""
        return self.get_of_kind(appid, "miniprogram")

    def get_of_kind(self, appid: str | None, kind: str) -> App:
        """The app of that appid if it is of the kind, or the first of the kind; raises 4042."""
        app = self._apps.get(appid) if appid else self.find_first(kind)
        if app is None or app.kind != kind:
            raise AppError(Code.UNKNOWN_APP)
        return app

    def get_web(self, appid: str) -> App:
        """The official account or website app of that appid; raises 4042."""
        app = self.get(appid)
        if app.kind == "miniprogram":
            raise AppError(Code.UNKNOWN_APP)
        return app

    def find_first(self, kind: str) -> App | None:
        """The first of that kind in the settings."""
        return next((app for app in self._apps.values() if app.kind == kind), None)
