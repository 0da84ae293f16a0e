"""Faults to inject: what goes wrong, at which API, how often."""

import random
from dataclasses import dataclass, fields
from typing import Any

from simulator.errors import ControlError

SWITCHES = ("hang", "truncate", "html", "reset", "huge", "gzipBomb")
EFFECTS = ("errcode", "status", "delayS", *SWITCHES)
EVERY_API = "*"


@dataclass(slots=True)
class Fault:
    """One fault; the field names are those of ``POST /sim/faults``.

    ``times`` counts down to 0, ``rate`` is a probability; neither means until deleted. ``errcode`` and
    ``status`` answer without touching a code; ``truncate`` cuts the genuine answer, so the code is spent.
    """

    id: int
    api: str
    errcode: int | None = None
    status: int | None = None
    delayS: float = 0.0  # noqa: N815 - as on the wire
    hang: bool = False
    truncate: bool = False
    html: bool = False
    reset: bool = False
    huge: bool = False
    gzipBomb: bool = False  # noqa: N815 - as on the wire
    times: int | None = None
    rate: float | None = None

    def as_json(self) -> dict[str, Any]:
        """What is set, by name; ``times`` is how many calls it still hits."""
        values = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in values.items() if value not in (None, False, 0.0)}


NAMES = tuple(field.name for field in fields(Fault))


class Faults:
    """The switched-on faults in the order they were added; the first that fits a call hits it."""

    def __init__(self, apis: tuple[str, ...], seed: int | None = None) -> None:
        self._apis = (*apis, EVERY_API)
        self._random = random.Random(seed)  # noqa: S311 - chance for tests, repeatable by seed
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, body: dict[str, Any]) -> Fault:
        """Switch one on; ControlError says which field is wrong."""
        check_fault(body, self._apis)
        self._last_id += 1
        fault = Fault(id=self._last_id, **body)
        self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Switch off one or all; how many there were."""
        kept = [fault for fault in self._faults if fault_id not in (None, fault.id)]
        cleared = len(self._faults) - len(kept)
        self._faults = kept
        return cleared

    def take(self, api: str) -> Fault | None:
        """The fault that hits this call, counted down; spent ones disappear."""
        for fault in self._faults:
            if fault.api in (api, EVERY_API) and self._strikes(fault):
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """All that are on."""
        return [fault.as_json() for fault in self._faults]

    def _strikes(self, fault: Fault) -> bool:
        if fault.rate is not None and self._random.random() >= fault.rate:
            return False
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self._faults.remove(fault)
        return True


def check_fault(body: dict[str, Any], apis: tuple[str, ...]) -> None:
    """Refuse what could not work: unknown names, wrong types, no effect at all."""
    unknown = body.keys() - (set(NAMES) - {"id"})
    if unknown:
        raise ControlError(f"unknown field {', '.join(sorted(unknown))}; known: {', '.join(NAMES[1:])}")
    if body.get("api") not in apis:
        raise ControlError(f"api must be one of {', '.join(apis)}")
    if not any(body.get(name) not in (None, False) for name in EFFECTS):
        raise ControlError(f"the fault does nothing; give one of {', '.join(EFFECTS)}")
    for name in SWITCHES:
        if not isinstance(body.get(name, False), bool):
            raise ControlError(f"{name} must be true or false")
    for name, (kind, low, high, words) in NUMBERS.items():
        value: Any = body.get(name, low)
        if type(value) not in kind or not low <= value <= high:
            raise ControlError(f"{name} must be {words}")


NUMBERS: dict[str, tuple[tuple[type, ...], float, float, str]] = {
    "errcode": ((int,), -(2**31), 2**31, "a whole number"),
    "status": ((int,), 200, 599, "an HTTP status from 200 to 599"),
    "delayS": ((int, float), 0, 600, "seconds from 0 to 600"),
    "times": ((int,), 1, 2**31, "a whole number from 1"),
    "rate": ((int, float), 0, 1, "a probability from 0 to 1"),
}
