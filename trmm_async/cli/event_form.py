"""The formats of events. Events have no end, so that each is printed at once when it comes.

Below: `forms`, `output`, `rows`. Above: `event_lines`, and the commands.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import trmm_async as sdk
from trmm_async.cli.forms import Showing, columns_of, csv_writer, event_fields, print_name, print_yaml, row_of
from trmm_async.cli.listing import NoHeaders
from trmm_async.cli.output import GrowingTable, json_stream
from trmm_async.cli.rows import field_names, flat
from trmm_async.cli.shared_options import folding

__all__ = ["EventForm", "tells_events"]


@dataclass(frozen=True, kw_only=True)
class EventForm(Showing):
    """How events are shown. Its fields are the options."""

    no_headers: NoHeaders = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.paths(event_fields())

    @contextmanager
    def stream(self, names: tuple[str, ...] = ()) -> Iterator[Callable[[Any], None]]:
        """As `Showing.stream`, but in every format each row is printed and flushed when it comes.

        A jq filter gets one row at a time. A column of a table is as wide as its widest cell so far.
        """
        names = names or event_fields()
        paths = self.paths(names)
        if self.in_words:
            yield lambda _: None
        elif self.for_people:
            yield GrowingTable(
                columns_of(paths or names, None), heads=not self.no_headers, whole=self.form == "wide"
            ).add
        elif self.filter is not None:
            yield lambda row: self.print_filtered(row_of(row, None, paths), flush=True)
        elif self.form == "csv":
            write = csv_writer(_flat_names(paths or names), heads=not self.no_headers, flush=True)
            yield lambda row: write(flat(row_of(row, None, paths)))
        elif self.form == "yaml":
            with _yaml_list() as emit:
                yield lambda row: emit(row_of(row, None, paths))
        elif self.form == "name":
            yield lambda row: print_name(row.get("hostname") or row.get("agent_id"))
        else:
            with json_stream(as_array=self.form == "json") as emit:
                yield lambda row: emit(row_of(row, None, paths))


tells_events = folding("form", EventForm)
"""Decorates a command that takes `form: EventForm`: it gets the fields of that as options."""


def _flat_names(names: Sequence[str]) -> list[str]:
    """The columns of a flat table. An alert and an error have one for each of their fields."""
    within = {"alert": field_names(sdk.Alert, hosted=False), "error": ("type", "message")}
    return [
        told
        for name in names
        for told in ([f"{name}_{inner}" for inner in within[name]] if name in within else [name])
    ]


@contextmanager
def _yaml_list() -> Iterator[Callable[[Any], None]]:
    """Print rows as one list in YAML, each as a list of one. An empty list is printed when the block ends."""
    count = 0

    def emit(row: Any) -> None:
        nonlocal count
        count += 1
        print_yaml([row])

    try:
        yield emit
    except BaseException as error:
        if not count and not isinstance(error, Exception):
            print_yaml([])
        raise
    if not count:
        print_yaml([])
