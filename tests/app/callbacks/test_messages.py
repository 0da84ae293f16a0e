"""Bodies of the message push: what is read, what is refused, and that reading opens nothing."""

import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.callbacks.messages import parse_message, parse_whole, text_reply
from core.errors import AppError, Code

BOMB = (
    "<!DOCTYPE xml ["
    + '<!ENTITY a "'
    + "lol" * 10
    + '">'
    + "".join(f'<!ENTITY {chr(98 + n)} "' + f"&{chr(97 + n)};" * 10 + '">' for n in range(9))
    + "]><xml><Content>&j;</Content></xml>"
)
REFUSED = {
    "bomb": BOMB,
    "quadratic": '<!DOCTYPE xml [<!ENTITY a "'
    + "x" * 30_000
    + '">]><xml><Content>'
    + "&a;" * 5_000
    + "</Content></xml>",
    "doctype": "<!DOCTYPE xml><xml><Content>a</Content></xml>",
    "external entity": '<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Content>&a;</Content></xml>',
    "external over http": '<!DOCTYPE xml [<!ENTITY a SYSTEM "http://127.0.0.1:1/">]><xml><Content>&a;</Content></xml>',
    "external dtd": '<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml><Content>a</Content></xml>',
    "parameter entity": '<!DOCTYPE xml [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><xml/>',
    "undefined entity": "<xml><Content>&nothing;</Content></xml>",
    "unclosed": "<xml><Content>a",
    "another root": "<html><Content>a</Content></html>",
    "twice": "<xml><MsgId>1</MsgId><MsgId>2</MsgId></xml>",
    "two roots": "<xml></xml><xml></xml>",
    "unknown encoding": '<?xml version="1.0" encoding="nonsense"?><xml/>',
    "nothing": "",
    "nul": "<xml><Content>\x00</Content></xml>",
    "json array": "[1]",
    "json twice": '{"MsgId": 1, "MsgId": 2}',
    "json twice with a blank": '{"OpenID": "a", " OpenID": "b"}',
    "json cut": '{"MsgId": 1',
    "json deep": '{"a":' + "[" * 60_000,
    "json surrogate": '{"Encrypt": "\\ud800"}',
    "json long number": '{"MsgId": ' + "9" * 5_000 + "}",
}


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """What this process opens or connects to meanwhile."""
    seen: list[str] = []
    watching = [True]

    def hook(event: str, args: tuple[object, ...]) -> None:
        if watching[0] and event in ("open", "socket.connect", "socket.getaddrinfo", "os.open"):
            seen.append(f"{event} {args[0]}")

    sys.addaudithook(hook)
    yield seen
    watching[0] = False


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_message_is_4000_at_once_and_opens_nothing(name: str, opened: list[str]) -> None:
    started = time.process_time()
    with pytest.raises(AppError) as refused:
        parse_message(REFUSED[name].encode())
    assert refused.value.code is Code.INVALID_REQUEST
    assert [one for one in opened if "passwd" in one or "socket" in one] == []
    assert time.process_time() - started < 0.5


def test_other_encodings_of_xml_are_read_as_they_say() -> None:
    assert parse_message("<?xml version='1.0' encoding='utf-16'?><xml><a>é</a></xml>".encode("utf-16")) == {"a": "é"}


def test_xml_and_json_of_the_same_message_read_the_same() -> None:
    xml = "<xml><MsgId>7</MsgId><Content><![CDATA[a<b]]></Content><Nested><x>1</x></Nested></xml>"
    json = '{"MsgId": 7, " Content": "a<b", "Nested": {"x": "1"}}'
    assert parse_message(xml.encode()) == parse_message(json.encode()) == {"MsgId": "7", "Content": "a<b"}


def test_all_that_is_nested_is_read_whole() -> None:
    xml = "<xml><E>x</E><L><i><t>1</t></i><i><t>2</t></i></L><O><a>1</a></O></xml>"
    assert parse_whole(xml.encode()) == {"E": "x", "L": {"i": [{"t": "1"}, {"t": "2"}]}, "O": {"a": "1"}}
    assert parse_whole(b'{" E": {"a": [1]}}') == {"E": {"a": [1]}}
    assert parse_whole(b"<xml/>") == {}


def test_nesting_has_an_end() -> None:
    deep = "<xml>" + "<a>" * 2_000 + "x" + "</a>" * 2_000 + "</xml>"
    assert str(parse_whole(deep.encode())).count("'a'") == 16


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_a_reply_can_be_read_again_whatever_is_in_it(text: str) -> None:
    sent = {"FromUserName": text, "ToUserName": "gh_1"}
    read = parse_message(text_reply(sent, text, 1_700_000_000_000).encode())
    assert (read["ToUserName"], read["Content"], read["CreateTime"]) == (text, text, "1700000000")
