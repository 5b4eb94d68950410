"""What a process holds, in counts, and whether they have grown; bytes would depend on the allocator."""

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

__all__ = ["Growth", "Sample", "growth", "take"]

_LEAST: Final = 40
"""A count may be larger by so much, or by its share: what is under way differs from moment to moment."""

_SHARE: Final = 0.05


@dataclass(frozen=True)
class Sample:
    """At one moment.

    Attributes:
        counts: memory blocks, tasks, sockets, and live objects by the name of their type.
        resident: bytes of the process, for the reader; no verdict is built on them.
    """

    counts: Mapping[str, int]
    resident: int = 0


@dataclass(frozen=True)
class Growth:
    """A count that is larger in the last third than in the second."""

    name: str
    before: float
    after: float


def take() -> Sample:
    """Of this process, in its event loop, now."""
    gc.collect()
    counts = Counter(
        f"objects: {type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()
    )
    counts["blocks"] = sys.getallocatedblocks()
    counts["tasks"] = len(asyncio.all_tasks())
    counts["sockets"] = _sockets()
    # Samples are held, too: their names once, or they would be what grows.
    return Sample({sys.intern(name): count for name, count in counts.items()}, _resident())


def growth(samples: Sequence[Sample]) -> list[Growth]:
    """What has grown, the most first. The first third is for warming up and does not count."""
    third = len(samples) // 3
    if third < 1:
        raise ValueError("at least three samples are needed")
    before, after = samples[third : 2 * third], samples[-third:]
    names = {name for sample in samples for name in sample.counts}
    found = [Growth(name, _median(before, name), _median(after, name)) for name in names]
    grown = [one for one in found if one.after > one.before + max(_LEAST, _SHARE * one.before)]
    return sorted(grown, key=lambda one: one.before - one.after)


def _median(samples: Sequence[Sample], name: str) -> float:
    return median(sample.counts.get(name, 0) for sample in samples)


def _sockets() -> int:
    # Where there is no such folder, none are counted; the one of the listing is closed when it is looked at.
    folder = Path("/proc/self/fd")
    return sum(_leads_to(each).startswith("socket:") for each in folder.iterdir()) if folder.is_dir() else 0


def _leads_to(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
