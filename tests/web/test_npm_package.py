"""web/ as an npm package: packed, put into an app of React or Vue, bundled, and used in Chromium."""

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsing import Site
from handlers.web_files import WEB

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
REACT_POLICY = "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app beside its node_modules, with the package as npm would publish it."""
    assert MODULES.is_dir(), "the npm packages of tests/web are missing: scripts/test installs them"
    folder = tmp_path_factory.mktemp("app")
    archive = run("npm", "pack", "--silent", "--pack-destination", folder, WEB, cwd=folder).strip()
    shutil.copytree(HERE / "apps", folder / "src")
    (folder / "node_modules").mkdir()
    for module in MODULES.iterdir():
        (folder / "node_modules" / module.name).symlink_to(module)
    run("tar", "-xzf", archive, cwd=folder)
    (folder / "package").rename(folder / "node_modules" / "kaimen-web")
    return folder


def bundle(folder: Path, entry: str) -> str:
    options = ["--bundle", "--format=esm", "--jsx=automatic", '--define:process.env.NODE_ENV="production"']
    flags = ["__VUE_OPTIONS_API__", "__VUE_PROD_DEVTOOLS__", "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__"]
    defines = [f"--define:{flag}=false" for flag in flags]
    return run(MODULES / ".bin" / "esbuild", f"src/{entry}", *options, *defines, cwd=folder)


def test_the_package_holds_the_scripts_and_their_types_and_nothing_else(app_folder: Path) -> None:
    package = app_folder / "node_modules" / "kaimen-web"
    names = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"kaimen-login.js", "kaimen-login.d.ts", "vue/index.js", "react/index.d.ts", "lib/scan.js"} <= names
    assert [name for name in names if name.startswith(("demo", "phone", "node_modules"))] == []


def test_the_types_allow_what_is_documented_and_refuse_slips(app_folder: Path) -> None:
    run(MODULES / ".bin" / "tsc", "--project", "src", cwd=app_folder)


@pytest.mark.parametrize("entry", ["react.jsx", "vue.js"])
async def test_an_app_signs_in_with_the_wrapped_element(site: Site, app_folder: Path, entry: str) -> None:
    site.pages["bundle.js"] = (bundle(app_folder, entry), "")
    window = await (await site.window()).show('<div id="app"></div>', scripts=("../bundle.js",), policy=REACT_POLICY)
    await expect(window.page.locator("kaimen-login.mine h2")).to_have_text("Sign in with WeChat")
    phone, scan_id = await site.phone(nickname="阿丽"), (await window.heard("shown"))["scanId"]
    await phone.do("scan", scan_id)
    await expect(window.page.locator("kaimen-login .status")).to_contain_text("Scanned by 阿丽")
    await phone.do("confirm", scan_id)
    await expect(window.page.locator("#user")).to_have_text("阿丽 scanned: 阿丽")
    assert await window.user() is not None
    assert (await window.refused(), window.errors) == ([], [])


async def test_a_page_without_modules_loads_one_script(site: Site) -> None:
    window = await site.window()
    site.pages["own-page"] = (
        '<!doctype html><html lang="en"><title>own</title><script src="/web/kaimen.js" defer></script>'
        "<body><kaimen-login></kaimen-login><kaimen-password></kaimen-password>",
        REACT_POLICY,
    )
    await window.open("/own-page")
    await window.heard("shown")
    assert await window.page.evaluate("kaimenReady.then(kaimen => Object.keys(kaimen).sort())") == [
        "KaimenError",
        "KaimenLogin",
        "KaimenPassword",
        "KaimenSession",
        "goTo",
        "isLocalPath",
        "loginPath",
        "returnPath",
    ]
    assert (await window.refused(), window.errors) == ([], [])


def test_no_lock_file_names_a_registry() -> None:
    assert '"resolved"' not in (HERE / "package-lock.json").read_text("utf-8")
