"""A run as a whole: how it was set up, its seconds, and what they come to."""

from dataclasses import asdict, dataclass
from typing import Any

from load_day import DAY, RUSH
from load_figures import Second, Target, count_errors, summary, targets


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    minutes: float
    clients: int
    think: float
    hurry: float
    processes: int
    seed: int


@dataclass(frozen=True)
class Report:
    """What there is to draw; ``problems`` are answers that nobody expected, and how often they came."""

    machine: str
    cores: int
    options: Options
    seconds: list[Second]
    problems: dict[str, int]

    def phase(self, name: str) -> list[Second]:
        """The seconds of the day, or of the rush."""
        return [second for second in self.seconds if second.phase == name]

    def targets(self) -> list[Target]:
        """Held or not."""
        return targets(self.seconds, self.options.clients)

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "machine": self.machine,
            "cores": self.cores,
            "options": asdict(self.options),
            "targets": [asdict(target) for target in self.targets()],
            "summary": {phase: summary(self.phase(phase)) for phase in (DAY, RUSH)},
            "errors": dict(count_errors(self.seconds)),
            "problems": self.problems,
            "seconds": [second.as_json() for second in self.seconds],
        }
