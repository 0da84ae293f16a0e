"""The 3000 commonest passwords, bare or in the usual disguise.

Almost none of them has the four kinds of characters that a password needs, so people decorate: ``Password1!``,
``P@ssw0rd123``, ``!Dragon2024``. Such a password counts as common too: case is folded, special characters at both ends
and up to four digits at the end are dropped, and the usual substitutes for letters are turned back.
"""

import re
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

COMMON = 3000
CORE_MIN = 4  # what is left of a shorter core is no word any more
ENDS = re.compile(r"^[\W_]+|[\W_]+$")
DIGITS = re.compile(r"[0-9]{1,4}$")
LISTED = re.compile(r'    "passwords": "([^"]+)"')
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
    """The list, read once: a start calls it, because it takes a moment. Raises RuntimeError if it is not there."""
    listing = Path(str(distribution("zxcvbn").locate_file("zxcvbn/frequency_lists.py")))
    with listing.open() as lines:  # not imported: its other lists would take 12 MiB
        for line in lines:
            if words := LISTED.match(line):
                return frozenset(words[1].split(",")[:COMMON])
    raise RuntimeError("zxcvbn has no list of passwords where it was")
