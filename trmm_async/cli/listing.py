"""The pipeline of all commands that list something: read, sort, limit, print. `--watch` repeats it.

Below: `forms`, `rows`, `output`. Above: the commands.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import told, usage
from trmm_async.cli.forms import Showing, columns_of, complete_fields, row_of
from trmm_async.cli.options import FORM
from trmm_async.cli.output import as_json_text, print_table, say
from trmm_async.cli.rows import chosen_fields, fields_to_sort_by, flat_names, in_order
from trmm_async.cli.shared_options import folding

__all__ = ["Found", "Limit", "Listing", "NoHeaders", "Sort", "lists"]

_ERASE_ALL: Final = "\x1b[H\x1b[2J\x1b[3J"


class Found(NamedTuple):
    """What was read: the things, and if they belong to agents, host names by agents' ids."""

    things: Sequence[Any]
    hosts: Mapping[str, str] | None = None


Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="NAME",
        help="The field to sort by, or several: A,-B; -NAME sorts in descending order.",
        autocompletion=complete_fields,
        rich_help_panel=FORM,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=0, help="At most this many rows.", rich_help_panel=FORM),
]
NoHeaders = Annotated[bool, typer.Option("--no-headers", help="No header line.", rich_help_panel=FORM)]


@dataclass(frozen=True, kw_only=True)
class Listing(Showing):
    """How a list is shown. Its fields are the options."""

    sort: Sort = None
    limit: Limit = None
    no_headers: NoHeaders = False
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat the list.", rich_help_panel=FORM)] = (
        False
    )
    every: Annotated[
        float,
        typer.Option(
            "--every",
            metavar="SECONDS",
            min=0.1,
            help="With --watch: the time between two lists.",
            rich_help_panel=FORM,
        ),
    ] = 10.0

    def __post_init__(self) -> None:
        if self.watch and self.jq is not None and self.form is None and not self.as_json:
            object.__setattr__(self, "as_jsonl", True)  # an endless list can't be one JSON document
        super().__post_init__()
        if self.watch and not (self.for_people or self.form in {"jsonl", "name"}):
            raise usage(f"--watch goes with table, wide, jsonl and name, not with {self.form}")

    @property
    def has_heads(self) -> bool:
        """Whether tables have a header line: by --no-headers."""
        return not self.no_headers

    def check(self, kind: Any, *, hosted: bool = False) -> None:
        """Check the fields of --fields and --sort. For the arguments see `show`."""
        self.paths(kind, hosted=hosted)
        if self.sort is not None and kind is not None:
            names = ",".join(name for name, _ in fields_to_sort_by(self.sort))
            chosen_fields(names, kind, "--sort", hosted=hosted)

    async def show(
        self,
        read: Callable[[], Awaitable[Found]],
        columns: Callable[[Mapping[str, str]], Sequence[Column[Any]]],
        kind: Any,
        *,
        none: str,
        name: Callable[[Any], object] | None = None,
        hosted: bool = False,
        sort: str | None = None,
    ) -> None:
        """Read the list and print it: once, or with --watch until it is interrupted.

        Args:
            read: reads the things.
            columns: makes the columns of the table, from host names by agents' ids.
            kind: the type of the things, or the names of their fields; None if they aren't known.
            none: the message if there is nothing.
            name: gives a thing's name, for `-o name`; default: its own name or host.
            hosted: whether the things belong to agents; then rows have `agent_id` and `hostname`, too.
            sort: the order without `--sort`; None: as they were read.
        """
        self.check(kind, hosted=hosted)
        paths, order = self.paths(kind, hosted=hosted), self.sort or sort
        titles = flat_names(kind, paths, hosted=hosted) if kind else paths or ()
        seen: set[str] | None = None
        while True:
            try:
                found = await read()
            except (sdk.ConnectionFailedError, sdk.TimeoutError, sdk.ServerError) as error:
                if not self.watch or seen is None:
                    raise
                say(told(error))
            else:
                seen = self._shown(found, columns, paths, titles, order, none, name, seen)
            if not self.watch:
                return
            await asyncio.sleep(self.every)

    def _shown(
        self,
        found: Found,
        columns: Callable[[Mapping[str, str]], Sequence[Column[Any]]],
        paths: tuple[str, ...] | None,
        titles: tuple[str, ...],
        order: str | None,
        none: str,
        name: Callable[[Any], object] | None,
        seen: set[str] | None,
    ) -> set[str]:
        things, hosts = list(found.things), found.hosts
        if order:
            things = in_order(things, order, hosts)
        every, things = len(things), things[: self.limit]
        if not self.for_people:
            texts = (
                {as_json_text(row_of(thing, hosts, paths)): thing for thing in things} if self.watch else {}
            )
            news = [thing for text, thing in texts.items() if text not in (seen or ())]
            self.print_rows(news if self.watch else things, hosts, paths, name, titles)
            return set(texts)
        if self.watch:
            self._head(every)
        if things:
            shown = columns_of(paths, hosts) if paths else columns(hosts or {})
            print_table(things, shown, heads=not self.no_headers, whole=self.form == "wide")
        elif not every:
            say(none)
        if len(things) < every:
            say(f"{len(things)} of {every}")
        return set()

    def _head(self, count: int) -> None:
        if sys.stdout.isatty():
            print(_ERASE_ALL, end="")
        say(f"{datetime.now().astimezone():%H:%M:%S}: {count}, every {self.every:g} s; Ctrl-C ends it", "dim")


lists = folding("form", Listing)
"""Decorates a command that takes `form: Listing`: it gets the fields of that as options."""
