"""Signatures of webhooks: the published vector, and the simulator as a reader that shares no code with us."""

from hypothesis import given
from hypothesis import strategies as st

from app.events.signing import headers_of, make_secret, sign
from simulator.sinks import is_signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_vector_of_the_reference_libraries() -> None:
    signed = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=200), st.integers(1, 2**33))
def test_whoever_reads_it_finds_it_good_and_nothing_else(key: bytes, body: bytes, at: int) -> None:
    secret = make_secret(key)
    headers = headers_of([secret], "0123", at, body)
    assert is_signed(secret, headers, body, at)
    assert not is_signed(secret, headers, body + b" ", at)
    assert not is_signed(secret, {**headers, "webhook-id": "0124"}, body, at)
    assert not is_signed(secret, {**headers, "webhook-timestamp": str(at + 1)}, body, at)


def test_while_a_secret_is_replaced_both_verify() -> None:
    old, new = make_secret(b"o" * 32), make_secret(b"n" * 32)
    headers = headers_of([new, old], "id", 100, b"{}")
    assert is_signed(old, headers, b"{}", 100)
    assert is_signed(new, headers, b"{}", 100)
