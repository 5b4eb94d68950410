"""How lists are shown, whatever they are of: one pipeline for all commands.

Read, sort, limit, choose fields, filter by jq, and print as a table or in one of the forms for programs;
again and again with `--watch`.

Below: `rows`, `printing`, `options`, `folding`. Above: the commands.
"""

import asyncio
import csv
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple

import typer

import trmm_async as sdk
from trmm_async.cli.exits import CommandError, Exit, told, usage
from trmm_async.cli.folding import folding
from trmm_async.cli.options import FORM, Json, JsonLines
from trmm_async.cli.printing import Column, Output, as_json_text, print_table, say
from trmm_async.cli.rows import (
    as_row,
    chosen_fields,
    field_names,
    flat,
    harmless,
    sort_key,
    value_of,
    words_of,
)
from trmm_async.cli.text import clean, one_line
from trmm_async.cli.values import choice

__all__ = ["FORMS", "Found", "Listing", "Showing", "lists", "shows"]

FORMS: Final = ("table", "wide", "csv", "json", "jsonl", "yaml", "name")
_ERASE_ALL: Final = "\x1b[H\x1b[2J\x1b[3J"


class Found(NamedTuple):
    """What was read: the things, and host names by agents' ids where they are of agents."""

    things: Sequence[Any]
    hosts: Mapping[str, str] | None = None


_KINDS: Final = {
    "agents": "Agent", "agent": "Agent", "scripts": "Script", "clients": "Client", "checks": "Check",
    "tasks": "Task", "alerts": "Alert", "history": "HistoryEntry", "software": "Software",
    "updates": "WindowsUpdate", "services": "Service", "deploy": "Deployment",
}  # fmt: skip
"""What the commands list; for completion alone."""


def _complete_fields(ctx: typer.Context, incomplete: str) -> list[str]:
    names = [ctx.info_name, ctx.parent.info_name if ctx.parent else None]
    kind = next((_KINDS[name] for name in names if name in _KINDS), None)
    if kind is None:
        return []
    before, comma, _ = incomplete.rpartition(",")
    turned = "-" * incomplete.startswith("-")
    fields = field_names(getattr(sdk, kind), hosted=kind not in {"Agent", "Script", "Client", "Deployment"})
    return [f"{before}{comma}{turned}{field}" for field in fields]


@dataclass(frozen=True, kw_only=True)
class Showing:
    """How one thing is shown. The fields are the options."""

    form: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORM",
            help=f"{', '.join(FORMS[:-1])} or {FORMS[-1]}.",
            autocompletion=lambda: FORMS,
            rich_help_panel=FORM,
        ),
    ] = None
    columns: Annotated[
        str | None,
        typer.Option(
            "--fields",
            "--columns",
            metavar="A,B",
            help="These fields, by their names in --json; client.name is a field of a field.",
            autocompletion=_complete_fields,
            rich_help_panel=FORM,
        ),
    ] = None
    jq: Annotated[
        str | None,
        typer.Option(
            "--jq",
            metavar="FILTER",
            help="Print what this jq filter makes of the JSON.",
            rich_help_panel=FORM,
        ),
    ] = None
    as_json: Json = False
    as_jsonl: JsonLines = False

    def __post_init__(self) -> None:
        given = [name for name, value in (("--json", self.as_json), ("--jsonl", self.as_jsonl)) if value]
        given += ["--output"] * (self.form is not None)
        if len(given) > 1:
            raise usage(f"{' and '.join(given)} are two formats: choose one")
        form = "json" if self.as_json else "jsonl" if self.as_jsonl else self.form
        form = choice(form, "--output", FORMS) if form else "json" if self.jq else "table"
        if self.jq is not None and form != "json":
            raise usage(f"--jq filters JSON: leave {form} out")
        object.__setattr__(self, "form", form)
        _ = self.filter

    @property
    def for_people(self) -> bool:
        """Whether people read it, and no program."""
        return self.form in {"table", "wide"}

    @cached_property
    def filter(self) -> Any:
        """The jq filter, compiled; None without one."""
        if self.jq is None:
            return None
        try:
            import jq  # type: ignore[import-not-found]  # it has no types
        except ModuleNotFoundError as error:
            raise CommandError(Exit.FAILED, '--jq needs a package: pip install "trmm-async[jq]"') from error
        try:
            return jq.compile(self.jq)
        except ValueError as error:
            raise usage(f"--jq: {one_line(str(error))}") from error

    def paths(self, kind: Any, *, hosted: bool = False) -> tuple[str, ...] | None:
        """The fields that are asked for; None for all. One that is none is a wrong use."""
        if self.columns is None:
            return None
        return chosen_fields(self.columns, field_names(kind, hosted=hosted), "--fields")

    def one(self, thing: Any, show: Callable[[Any], None], kind: Any = None) -> None:
        """Show one thing, as `show` does for people; `kind` as of `Listing.show`."""
        paths = self.paths(kind or type(thing))
        if self.for_people and paths is None:
            show(thing)
        elif self.for_people:
            print_table([thing], _columns_of(paths or (), None))
        elif self.filter is not None or self.form in {"json", "jsonl"}:
            row = _row(thing, None, paths)
            if self.filter is not None:
                self._filtered(row)
            else:
                print(as_json_text(row, indent=2 if self.form == "json" else None))
        else:
            self._print([thing], None, paths, None)

    def _print(
        self,
        things: Sequence[Any],
        hosts: Mapping[str, str] | None,
        paths: tuple[str, ...] | None,
        name: Callable[[Any], object] | None,
        *,
        heads: bool = True,
    ) -> None:
        rows: Iterable[Any] = (_row(thing, hosts, paths) for thing in things)
        if self.filter is not None:
            self._filtered(list(rows))
        elif self.form == "csv":
            _print_csv(rows, heads=heads)
        elif self.form == "yaml":
            _print_yaml(list(rows))
        elif self.form == "name":
            for thing in things:
                print(one_line(clean(str(name(thing) if name else _name_of(thing, hosts)))))
        else:
            with Output(as_json=self.form == "json", as_jsonl=self.form == "jsonl").stream() as emit:
                for row in rows:
                    emit(row)

    def _filtered(self, data: Any) -> None:
        try:
            for found in self.filter.input_value(data):
                # As gh does: a text without its quotes.
                if isinstance(found, str):
                    print(clean(found) if sys.stdout.isatty() else found)
                else:
                    print(as_json_text(found))
        except ValueError as error:
            raise usage(f"--jq: {one_line(clean(str(error)))}") from error


@dataclass(frozen=True, kw_only=True)
class Listing(Showing):
    """How a list is shown. The fields are the options."""

    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="NAME",
            help="The field to sort by; -NAME turns it round.",
            autocompletion=_complete_fields,
            rich_help_panel=FORM,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=0, help="So many at most.", rich_help_panel=FORM),
    ] = None
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Without the line of titles.", rich_help_panel=FORM)
    ] = False
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it anew again and again.", rich_help_panel=FORM)
    ] = False
    every: Annotated[
        float,
        typer.Option(
            "--every", metavar="SECONDS", min=0.1, help="With --watch: how often.", rich_help_panel=FORM
        ),
    ] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.watch and not (self.for_people or self.form in {"jsonl", "name"}):
            raise usage(f"--watch goes with table, wide, jsonl and name, not with {self.form}")

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
        """Read and show it: once, or until it is interrupted.

        Args:
            read: reads the things. With `hosted`, they are agents' things, and their hosts are told too.
            columns: of the table, by the host names.
            kind: the type of the things, or the names of their fields.
            none: what is said where there is nothing.
            name: what a thing is called, for `-o name`; its host or name without.
            hosted: see `read`.
            sort: what they are sorted by without `--sort`; as they were read, if None.
        """
        names = field_names(kind, hosted=hosted)
        paths = self.paths(kind, hosted=hosted)
        order = self.sort or sort
        if self.sort is not None:
            chosen_fields(self.sort.removeprefix("-"), names, "--sort")
        seen: set[str] | None = None
        while True:
            try:
                found = await read()
            except (sdk.ConnectionFailedError, sdk.TimeoutError, sdk.ServerError) as error:
                if not self.watch or seen is None:
                    raise
                say(told(error))
            else:
                seen = self._shown(found, columns, paths, order, none, name, seen)
            if not self.watch:
                return
            await asyncio.sleep(self.every)

    def _shown(
        self,
        found: Found,
        columns: Callable[[Mapping[str, str]], Sequence[Column[Any]]],
        paths: tuple[str, ...] | None,
        order: str | None,
        none: str,
        name: Callable[[Any], object] | None,
        seen: set[str] | None,
    ) -> set[str]:
        things, hosts = list(found.things), found.hosts
        if order:
            things.sort(key=sort_key(order.removeprefix("-"), hosts), reverse=order.startswith("-"))
        every, things = len(things), things[: self.limit]
        if not self.for_people:
            texts = {as_json_text(_row(thing, hosts, paths)): thing for thing in things} if self.watch else {}
            news = [thing for text, thing in texts.items() if text not in (seen or ())]
            self._print(news if self.watch else things, hosts, paths, name, heads=not self.no_headers)
            return set(texts)
        if self.watch:
            self._head(every)
        if things:
            shown = _columns_of(paths, hosts) if paths else columns(hosts or {})
            print_table(things, shown, heads=not self.no_headers, whole=self.form == "wide")
        else:
            say(none)
        if len(things) < every:
            say(f"{len(things)} of {every}")
        return set()

    def _head(self, count: int) -> None:
        if sys.stdout.isatty():
            print(_ERASE_ALL, end="")
        say(f"{datetime.now().astimezone():%H:%M:%S}: {count}, every {self.every:g} s; Ctrl-C ends it", "dim")


lists = folding("form", Listing)
"""A command that takes `form: Listing` and has in its place the options that say it."""

shows = folding("form", Showing)
"""The same of a command that shows one thing, with `form: Showing`."""


def _row(thing: Any, hosts: Mapping[str, str] | None, paths: tuple[str, ...] | None) -> Any:
    if paths is None:
        return as_row(thing, hosts)
    return {path: as_row(value_of(thing, path, hosts)) for path in paths}


def _columns_of(paths: Iterable[str], hosts: Mapping[str, str] | None) -> list[Column[Any]]:
    def column(path: str) -> Column[Any]:
        return Column(path, lambda thing: words_of(value_of(thing, path, hosts)), styled=path == "status")

    return [column(path) for path in paths]


def _name_of(thing: Any, hosts: Mapping[str, str] | None) -> object:
    for path in ("name", "hostname", "id"):
        if (value := value_of(thing, path, hosts)) is not None:
            return value
    return ""


def _print_csv(rows: Iterable[Any], *, heads: bool) -> None:
    tidy: Callable[[str], str] = clean if sys.stdout.isatty() else str
    told_rows = [flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in told_rows for name in row))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if heads and names:
        writer.writerow(names)
    for row in told_rows:
        writer.writerow(
            [tidy(one) if isinstance(one, str) else one for one in harmless(row.get(name) for name in names)]
        )


def _print_yaml(rows: list[Any]) -> None:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise CommandError(Exit.FAILED, '-o yaml needs a package: pip install "trmm-async[cli]"') from error
    every = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    # What JSON has is what YAML gets: no type of ours, and no reference from one row to another.
    print(yaml.safe_dump(json.loads(json.dumps(rows)), sort_keys=False, allow_unicode=every), end="")
