"""The WeChat applications of the settings, by appid."""

from core.errors import AppError, Code
from core.settings import App


class Apps:
    """Finds the app a client means."""

    def __init__(self, apps: tuple[App, ...]) -> None:
        self._apps = {app.appid: app for app in apps}
        self._default = next((app for app in apps if app.kind == "miniprogram"), None)

    @property
    def appids(self) -> set[str]:
        """All that are configured."""
        return set(self._apps)

    def get(self, appid: str) -> App:
        """The app of that appid, of whatever kind; raises 4042."""
        app = self._apps.get(appid)
        if app is None:
            raise AppError(Code.UNKNOWN_APP)
        return app

    def get_miniprogram(self, appid: str | None) -> App:
        """The mini-program of that appid, or the first one; raises 4042."""
        app = self._apps.get(appid) if appid else self._default
        if app is None or app.kind != "miniprogram":
            raise AppError(Code.UNKNOWN_APP)
        return app
