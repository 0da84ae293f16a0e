"""The apps and people that are there at start. All of it is invented."""

from typing import Any

DEFAULT_APPS: list[dict[str, Any]] = [
    {
        "appid": "wx0000000000000001",
        "kind": "miniprogram",
        "secret": "5e2b1f0c8d7a4936b0c1d2e3f4051627",
        "page": "pages/scan/scan",
        "envVersion": "develop",
    },
    {
        "appid": "wx0000000000000002",
        "kind": "miniprogram",
        "secret": "a17c94d2063f4be8915d7e60c2b3f849",
        "page": "pages/scan/scan",
        "envVersion": "develop",
    },
    {
        "appid": "wx00000000000000a1",
        "kind": "official",
        "secret": "0f6d3a9be2c84175a8b94c1d70e5f236",
        "token": "kaimenPushToken1",
        "encodingAesKey": "Ka1menPushKeyForTheOfficialAccount00000000A",
        "pushMode": "safe",
    },
    {
        "appid": "wx00000000000000b1",
        "kind": "website",
        "secret": "c48e17f5a90b4d3286e1f7d05b9a3c64",
    },
]

DEFAULT_USERS: list[dict[str, Any]] = [
    {"name": "alice", "nickname": "爱丽丝", "phone": "13800138001"},
    {"name": "bob", "nickname": "老鲍 🎣", "phone": "13800138002"},
    {"name": "carol", "nickname": "Carol 卡萝", "phone": "13800138003"},
]

DEFAULT_MERCHANTS: list[dict[str, Any]] = [
    {
        "mchid": "1900000001",
        "appids": ["wx0000000000000001", "wx0000000000000002", "wx00000000000000a1"],
        "apiV3Key": "Ka1menPayKeyOfTheSimulator000001",
    },
]
