"""The cases, one function each, by the name that the command line takes."""

from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks.cases.events import events, subscriptions
from benchmarks.cases.fleet import fanout, mapped, pending
from benchmarks.cases.imports import imports
from benchmarks.cases.inflating import inflating
from benchmarks.cases.iteration import iteration
from benchmarks.cases.journals import journals
from benchmarks.cases.listing import collection, listing
from benchmarks.cases.mirrors import mirrors
from benchmarks.cases.pacing import pacing
from benchmarks.cases.pages import pages
from benchmarks.cases.relaying import relaying
from benchmarks.cases.sharing import sharing
from benchmarks.lab import Lab
from benchmarks.report import Row

__all__ = ["CASES", "Case"]

Case = Callable[[Lab], Awaitable[list[Row]]]

CASES: Final[dict[str, Case]] = {
    "imports": imports,
    "list": listing,
    "iter": iteration,
    "inflate": inflating,
    "gc": collection,
    "fanout": fanout,
    "map": mapped,
    "pending": pending,
    "mirror": mirrors,
    "pacing": pacing,
    "sharing": sharing,
    "relay": relaying,
    "journal": journals,
    "events": events,
    "subscriptions": subscriptions,
    "page": pages,
}
