"""Sealing at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crypto.sealing import BlindIndex, CannotUnseal, Sealer

OLD, NEW = ("old", bytes(range(32))), ("new", bytes(range(1, 33)))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens_in_its_place(text: str, context: str) -> None:
    assert Sealer([NEW]).unseal(Sealer([NEW]).seal(text, context), context) == text


def test_a_value_moved_to_another_row_does_not_open() -> None:
    sealed = Sealer([NEW]).seal("secret", "identities/wx/oAlice")
    with pytest.raises(CannotUnseal):
        Sealer([NEW]).unseal(sealed, "identities/wx/oBob")


def test_the_newest_key_seals_and_any_key_opens() -> None:
    before = Sealer([OLD]).seal("secret", "c")
    both = Sealer([NEW, OLD])
    assert both.unseal(before, "c") == "secret"
    assert both.seal("secret", "c").startswith("v1.new.")


@pytest.mark.parametrize("spoil", ["", "v1", "v1.new", "v2.new.AAAA", "v1.gone.AAAA", "v1.new.!!!!", "v1.new.AAAA"])
def test_anything_else_cannot_be_unsealed(spoil: str) -> None:
    with pytest.raises(CannotUnseal):
        Sealer([NEW]).unseal(spoil, "c")


def test_a_flipped_bit_is_noticed() -> None:
    sealed = Sealer([NEW]).seal("secret", "c")
    flipped = sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:]
    with pytest.raises(CannotUnseal):
        Sealer([NEW]).unseal(flipped, "c")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert Sealer([NEW]).seal("secret", "c") != Sealer([NEW]).seal("secret", "c")


def test_a_blind_index_finds_equal_values_under_one_key_only() -> None:
    one, two = BlindIndex(b"k" * 32), BlindIndex(b"l" * 32)
    assert one.of("13800138000") == one.of("13800138000") != one.of("13800138001")
    assert one.of("13800138000") != two.of("13800138000")
