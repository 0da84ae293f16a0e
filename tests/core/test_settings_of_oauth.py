"""The settings of OAuth and the message push: what stops a start."""

from typing import Any

import pytest

from core.settings import SettingsInvalid, load_settings
from simulator import DEFAULT_APPS

APP = {"appid": "wx1234567890abcdef", "kind": "official", "secret": "0123456789abcdef0123456789abcdef"}
PRODUCTION: dict[str, Any] = {
    "env": "production",
    "public_url": "https://login.example",
    "database_url": "mysql://u:p@h/n",
    "redis_url": "redis://h/0",
    "master_keys": "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "apps": [APP],
}


def faults_of(**changes: Any) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(**{**PRODUCTION, **changes})
    return str(refused.value)


def test_what_production_needs_is_enough() -> None:
    settings = load_settings(**PRODUCTION)
    assert settings.returns == ("https://login.example",)
    assert settings.wechat_open_url == "https://open.weixin.qq.com"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"wechat_open_url": "http://127.0.0.1:9000"}, "KAIMEN_WECHAT_OPEN_URL"),
        ({"wechat_open_url": "https://127.0.0.1:9000"}, "KAIMEN_WECHAT_OPEN_URL"),
        ({"wechat_open_url": "open.weixin.qq.com"}, "KAIMEN_WECHAT_OPEN_URL"),
        ({"return_origins": "http://shop.example"}, "KAIMEN_RETURN_ORIGINS"),
        ({"return_origins": "https://shop.example/path"}, "KAIMEN_RETURN_ORIGINS"),
        ({"return_origins": "https://*.example"}, "KAIMEN_RETURN_ORIGINS"),
        ({"return_origins": "shop.example"}, "KAIMEN_RETURN_ORIGINS"),
        ({"apps": [{**APP, "token": "a"}]}, "KAIMEN_APPS"),
        ({"apps": [{**APP, "token": "goodToken1"}]}, "encodingAesKey"),
        ({"apps": [{**APP, "token": "goodToken1", "encodingAesKey": "short"}]}, "KAIMEN_APPS"),
        ({"apps": [{**APP, "pushMode": "compatible"}]}, "KAIMEN_APPS"),
        ({"apps": [DEFAULT_APPS[2]]}, "exists in the simulator only"),
        ({"retention_days": "callbacks=0"}, "KAIMEN_RETENTION_DAYS"),
    ],
)
def test_a_bad_value_stops_the_start_and_is_named(changes: dict[str, Any], named: str) -> None:
    assert named in faults_of(**changes)


def test_no_fault_shows_a_secret() -> None:
    told = faults_of(apps=[{**APP, "token": "Sekret!!", "encodingAesKey": "AlsoSekret!"}])
    assert "ekret" not in told


def test_a_token_without_a_key_is_enough_in_plain_mode() -> None:
    settings = load_settings(**{**PRODUCTION, "apps": [{**APP, "token": "goodToken1", "pushMode": "plain"}]})
    assert settings.apps[0].push_mode == "plain"
    assert "goodToken1" not in repr(settings)
