"""The 3000 commonest passwords, bare or in the usual disguise.

Almost none of them has the four kinds of characters that a password needs, so people decorate: ``Password1!``,
``P@ssw0rd123``, ``!Dragon2024``. Such a password counts as common too: case is folded, special characters at both ends
and up to four digits at the end are dropped, and the usual substitutes for letters are turned back.
"""

import re
from functools import lru_cache

COMMON = 3000
CORE_MIN = 4  # what is left of a shorter core is no word any more
ENDS = re.compile(r"^[\W_]+|[\W_]+$")
DIGITS = re.compile(r"[0-9]{1,4}$")
SUBSTITUTES = str.maketrans({"@": "a", "4": "a", "3": "e", "1": "i", "!": "i", "0": "o", "$": "s", "5": "s", "7": "t"})


def is_common(password: str) -> bool:
    """Whether guessers try it first."""
    folded = password.casefold()
    return any(form in load() for form in _forms(folded))


def _forms(folded: str) -> set[str]:
    core = ENDS.sub("", folded)
    bare = ENDS.sub("", DIGITS.sub("", core))
    found = {folded, core, bare} | {form.translate(SUBSTITUTES) for form in (folded, core, bare)}
    return {form for form in found if len(form) >= CORE_MIN}


@lru_cache(maxsize=1)
def load() -> frozenset[str]:
    """The list, read once: a start calls it, because it takes a moment."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMON])
