"""The forms in which events are shown, of which there is no end: each is printed as it comes, and at once.

Below: `forms`, `printing`, `rows`. Above: `happenings`, and the commands.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import trmm_async as sdk
from trmm_async.cli.folding import folding
from trmm_async.cli.forms import Showing, columns_of, csv_writer, event_fields, print_name, print_yaml, row_of
from trmm_async.cli.listing import NoHeaders
from trmm_async.cli.printing import GrowingTable, Output
from trmm_async.cli.rows import field_names, flat

__all__ = ["EventForm", "tells_events"]


@dataclass(frozen=True, kw_only=True)
class EventForm(Showing):
    """How events are shown. The fields are the options."""

    no_headers: NoHeaders = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.paths(event_fields())

    @contextmanager
    def stream(self, names: tuple[str, ...] = ()) -> Iterator[Callable[[Any], None]]:
        """See `Showing`; but whatever the form, a row is printed when it comes, and leaves at once.

        A jq filter gets one row at a time. In a table a column is as wide as it has had to be so far.
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
            with Output(as_json=self.form == "json", as_jsonl=self.form == "jsonl").stream() as emit:
                yield lambda row: emit(row_of(row, None, paths))


tells_events = folding("form", EventForm)
"""A command that takes `form: EventForm` and has in its place the options that say it."""


def _flat_names(names: Sequence[str]) -> list[str]:
    """The columns of what is flat: of an alert and of an error one for each of their fields."""
    within = {"alert": field_names(sdk.Alert, hosted=False), "error": ("type", "message")}
    return [
        told
        for name in names
        for told in ([f"{name}_{inner}" for inner in within[name]] if name in within else [name])
    ]


@contextmanager
def _yaml_list() -> Iterator[Callable[[Any], None]]:
    """A list of one thing, then of another, is one list. One that is empty is told when the block ends."""
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
