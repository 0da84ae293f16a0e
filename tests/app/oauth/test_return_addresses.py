"""Where a login may return to: every shape that a browser could read as another place is refused."""

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.oauth.addresses import check_page, check_return, with_ticket
from core.errors import AppError, Code

ORIGINS = ("https://ok.example", "https://shop.example:8443")
REFUSED = [
    "",
    "e",
    "e/f",
    "//e",
    "///e",
    "/\\e",
    "\\/e",
    "\\\\e",
    "/%5ce",
    "/%5Ce",
    "https:e",
    "https:/e",
    "https:///e",
    "http:e",
    "/%09/e",
    "/\t/e",
    "/%0a/e",
    "/%0d%0aSet-Cookie:%20a=b",
    "/a\r\nSet-Cookie: a=b",
    "/\x00",
    "/%00",
    "/%2fe",
    "/%2f%2fe",
    "/%252f%252fe",
    "/%25252f%25252fe",
    "/./e",
    "/../e",
    "/a/..//e",
    "/%2e%2e//e",
    "/a//e",
    "/ e",
    " /e",
    "/e ",
    "/%20",
    "/a%zz",
    "/a%",
    "/页",
    "//ok.example/a",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "https://ok@e",
    "https://ok.example@e",
    "https://ok.example@e/",
    "https://ok.e",
    "https://ok.example.e",
    "https://ok.examplee",
    "https://ok.example:443/",
    "https://ok.example:8443/",
    "https://shop.example/",
    "https://shop.example:08443/",
    "https://OK.example/",
    "HTTPS://ok.example/",
    "http://ok.example/",
    "https://ok.example\\e",
    "https://ok.example\\@e",
    "https://ok.example%2fe",
    "https://ok.example//e",
    "https://ok.example/../e",
    "https://ok.example.",
    "https://ok.example./a",
    "https://[::1]/",
    "ftp://ok.example/",
    "https://evil.example/?https://ok.example",
    "https://evil.example/#https://ok.example",
    "/a?kaimenTicket=forged",
    "/" + "a" * 1024,
]
TAKEN = [
    "/",
    "/orders",
    "/orders?id=7&from=%2F%2Fe#top",
    "/a%2Fb",
    "/a%E9%A1%B5",
    "/s/AbC_-0123456789abcdefgh",
    "/?",
    "/#x",
    "https://ok.example",
    "https://ok.example/",
    "https://ok.example?a=b",
    "https://ok.example/deep/page?next=//e",
    "https://shop.example:8443/a",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_could_lead_elsewhere_is_refused(address: str) -> None:
    with pytest.raises(AppError) as refused:
        check_return(address, ORIGINS)
    assert refused.value.code is Code.INVALID_REQUEST
    assert refused.value.data == {"field": "return"}


@pytest.mark.parametrize("address", TAKEN)
def test_local_paths_and_listed_origins_are_taken_as_they_are(address: str) -> None:
    assert check_return(address, ORIGINS) == address


PIECES = st.sampled_from(
    [
        "/",
        "//",
        "\\",
        "%2f",
        "%5c",
        "%09",
        "\t",
        "\n",
        "@",
        ":",
        ".",
        "..",
        "?",
        "#",
        "https:",
        "ok.example",
        "e",
        "%25",
        ";",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_whatever_is_taken_stays_on_this_host_or_a_listed_one(address: str) -> None:
    try:
        check_return(address, ORIGINS)
    except AppError:
        return
    for form in (address, unquote(address), unquote(unquote(address))):
        parts = urlsplit(urljoin("https://home.example/login", form.partition("?")[0].partition("#")[0]))
        assert f"{parts.scheme}://{parts.netloc}" in {"https://home.example", *ORIGINS}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/a", "/a?kaimenTicket=t"),
        ("/a?b=c", "/a?b=c&kaimenTicket=t"),
        ("/a#x?y", "/a?kaimenTicket=t#x?y"),
        ("https://ok.example", "https://ok.example?kaimenTicket=t"),
        ("https://ok.example/a?b#c", "https://ok.example/a?b&kaimenTicket=t#c"),
    ],
)
def test_a_ticket_goes_into_the_query(address: str, expected: str) -> None:
    assert with_ticket(address, "t") == expected


def test_a_page_is_signed_without_its_fragment() -> None:
    url = "https://ok.example/a?code=1&state=2"
    assert check_page(f"{url}#/route", ORIGINS) == url


@pytest.mark.parametrize(
    "url",
    ["", "/a", "https://e/", "https://ok.example@e/", "https://ok.example.e/", "http://ok.example/", "//ok.example/"],
)
def test_pages_of_other_sites_are_not_signed(url: str) -> None:
    with pytest.raises(AppError) as refused:
        check_page(url, ORIGINS)
    assert refused.value.data == {"field": "url"}
