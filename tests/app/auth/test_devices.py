"""User-Agents as people would name their devices."""

import pytest

from app.auth.devices import device_mark, name_device

SAMPLES = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "MicroMessenger/8.0.50(0x1800323b) NetType/WIFI Language/zh_CN": "WeChat 8.0 · iPhone",
    "Mozilla/5.0 (Linux; Android 13; 2211133C Build/TKQ1.220905.001; wv) AppleWebKit/537.36 Chrome/116.0 Mobile "
    "Safari/537.36 MicroMessenger/8.0.49.2600(0x28003156)": "WeChat 8.0 · 2211133C",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 "
    "Edg/142.0.0.0": "Edge 142 · Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
    "Safari/605.1.15": "Safari 17 · macOS",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox 128 · Linux",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile "
    "Safari/537.36": "Chrome 140 · Android",
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 "
    "Mobile/15E148 Safari/604.1": "Safari 16 · iPad",
    "curl/8.5.0": "Unknown device",
    "": "Unknown device",
    "Android; \u202e\x07evil)": "evil",
    "(" * 5000: "Unknown device",
}


@pytest.mark.parametrize(("user_agent", "name"), SAMPLES.items(), ids=SAMPLES.values())
def test_a_device_is_named_as_its_user_would(user_agent: str, name: str) -> None:
    assert name_device(user_agent) == name


def test_a_device_stays_the_same_over_an_update_and_a_change_within_its_carrier() -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0 Safari/537.36"
    assert device_mark(chrome.format(142), "203.0.113.9") == device_mark(chrome.format(143), "203.0.200.1")
    assert device_mark(chrome.format(142), "203.0.113.9") != device_mark(chrome.format(142), "198.51.100.9")
    assert device_mark(chrome.format(142), "2001:db8::1") == device_mark(chrome.format(142), "2001:db8:ffff::2")
    assert device_mark(chrome.format(142), "") != device_mark("", "")
