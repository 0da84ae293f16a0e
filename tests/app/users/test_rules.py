"""What names, passwords, avatars and addresses may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.users import rules
from core.errors import AppError, Code


@given(st.text(max_size=100))
def test_a_cleaned_nickname_is_allowed_or_shows_nothing(nickname: str) -> None:
    cleaned = rules.clean_nickname(nickname)
    try:
        assert rules.check_nickname(cleaned) == cleaned
    except AppError as refused:
        assert refused.code is Code.INVALID_REQUEST  # noqa: PT017
        assert not any(char.isalnum() for char in cleaned)


@pytest.mark.parametrize(
    "nickname", ["Alice", "用户😀", "👍🏽", "a b", "O'Neil", "<img src=x onerror=alert(1)>", "é" * 64]
)
def test_a_nickname_may_be_what_people_use(nickname: str) -> None:
    assert rules.check_nickname(nickname) == nickname


@given(st.text(max_size=40))
def test_any_text_is_a_username_or_refused(text: str) -> None:
    allowed = 3 <= len(text) <= 20 and text.isascii() and text.isalnum()
    assert rules.is_username(text) is allowed


@pytest.mark.parametrize(
    ("phone", "masked"),
    [("13800138000", "138****8000"), ("+85212345678", "+852****5678"), ("12345", "***45"), ("1", "1")],
)
def test_a_masked_phone_shows_its_ends(phone: str, masked: str) -> None:
    assert rules.mask_phone(phone) == masked


@pytest.mark.parametrize(
    ("given_url", "kept"),
    [
        ("https://thirdwx.qlogo.cn/a/132", "https://thirdwx.qlogo.cn/a/132"),
        ("http://wx.qlogo.cn/a/0", "https://wx.qlogo.cn/a/0"),
        ("http://127.0.0.1:9000/avatar/alice.svg", "http://127.0.0.1:9000/avatar/alice.svg"),
        ("javascript:alert(1)", ""),
        ("//evil.example/a", ""),
        ("https://[broken", ""),
        ("https://ok@evil.example/a", ""),
        ('https://a.example/"onload=', ""),
    ],
)
def test_an_avatar_from_wechat_is_kept_as_https_or_left_out(given_url: str, kept: str) -> None:
    assert rules.clean_avatar_url(given_url) == kept


@pytest.mark.parametrize("email", ["a@b.co", "first.last+tag@sub.example.com", None])
def test_an_address_that_mail_can_reach_is_taken(email: str | None) -> None:
    assert rules.check_email(email) == email


@pytest.mark.parametrize(
    "email", ["", "a@b", "@b.co", "a@b..co", "a b@c.co", "a@-b.co", "a@b.co\n", "ä@b.co", "a" * 65 + "@b.co"]
)
def test_any_other_address_is_refused(email: str) -> None:
    with pytest.raises(AppError):
        rules.check_email(email)
