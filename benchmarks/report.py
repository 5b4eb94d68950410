"""What a run found: rows, the machine, the table, the JSON. Knows nothing of how anything was measured."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

__all__ = ["Report", "Row", "footing", "load", "machine", "now", "number", "table", "versions"]

_PACKAGES: Final = (
    *("aiohttp", "msgspec", "aiolimiter", "websockets", "httpx", "pydantic", "requests", "aiohttp-retry"),
    *("pyrate-limiter", "asynciolimiter", "throttled-py", "isal"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measurement of ours, and the same of rivals, all in `unit`.

    `low` and `high` are the lowest and highest of repeated medians. The target is a maximum, or a minimum
    where `at_least` says so; without one the row is there to be seen. `details` holds what is behind it.
    """

    case: str
    what: str
    unit: str
    value: float
    low: float
    high: float
    target: float | None = None
    at_least: bool = False
    rivals: dict[str, float] = {}
    details: dict[str, float] = {}

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    taken: datetime
    quick: bool
    seconds: float
    machine: dict[str, str]
    versions: dict[str, str]
    load: list[float]
    rows: list[Row]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def load_from(cls, path: Path) -> "Report":
        """Read what `save` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def now() -> datetime:
    """The time of day in whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def machine() -> dict[str, str]:
    """What this runs on."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.machine()


def versions() -> dict[str, str]:
    """Of the packages that take part, as far as they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def load() -> list[float]:
    """How busy the machine is: the load averages of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []


def number(value: float) -> str:
    """A figure with as many digits as say something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def footing(found: Report) -> str:
    """What the table was measured on, and how noisy that was."""
    spreads = [row.high / row.low - 1 for row in found.rows if row.unit == "×" and row.low > 0]
    noise = f"{median(spreads):.1%} (median), {max(spreads):.1%} (worst)" if spreads else "unknown"
    return "\n".join(
        (
            f"{found.taken:%Y-%m-%d %H:%M} UTC, {found.seconds:.0f} s{', quick' if found.quick else ''}",
            ", ".join(f"{name}: {value}" for name, value in found.machine.items()),
            ", ".join(f"{name} {value}" for name, value in found.versions.items()),
            f"load of the machine before: {' '.join(map(str, found.load))}",
            f"noise, as the spread of repeated medians of the ratios: {noise}",
        )
    )


def table(rows: Iterable[Row]) -> str:
    """All rows in one table of plain text."""
    head = ("case", "what", "ours", "repeated medians", "target", "met", "rivals")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(head) - 1)]
    lines = ["  ".join([*(_padded(line, widths)), line[-1]]).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(line, widths, strict=False)]


def _cells(row: Row) -> tuple[str, ...]:
    sign = "≥" if row.at_least else "≤"
    return (
        row.case,
        row.what,
        f"{number(row.value)} {row.unit}",
        f"{number(row.low)} to {number(row.high)}",
        "" if row.target is None else f"{sign} {number(row.target)}",
        {None: "", True: "yes", False: "NO"}[row.met],
        _rivals(row.rivals),
    )


def _rivals(rivals: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in rivals.items())
