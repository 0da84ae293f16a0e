"""What an examination finds."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` was looked at, what was found, and what to do about it unless it is ``ok``."""

    what: str
    level: str
    found: str
    fix: str = ""


def worst(findings: list[Finding]) -> str:
    """The level of the gravest; ``ok`` for none."""
    return max((finding.level for finding in findings), key=(OK, WARN, FAIL).index, default=OK)
