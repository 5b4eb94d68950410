"""The formats in which commands print data: tables for people, and JSON, CSV, YAML and names for programs.

All data is printed by this module: it chooses the fields, applies a jq filter, and prints one thing, or rows
as they come.

Below: `rows`, `output`, `options`, `shared_options`. Above: `listing`, `outcome_form`, and the commands.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, get_args

import typer

import trmm_async as sdk
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.options import FORM, Json, JsonLines
from trmm_async.cli.output import as_json_text, json_stream, print_table
from trmm_async.cli.rows import (
    HOST,
    as_row,
    chosen_fields,
    field_names,
    flat,
    flat_names,
    harmless,
    plain,
    value_of,
    words_of,
)
from trmm_async.cli.shared_options import folding
from trmm_async.cli.text import clean, one_line
from trmm_async.cli.values import choice

__all__ = [
    "FORMS",
    "OUTCOME",
    "Showing",
    "columns_of",
    "complete_fields",
    "csv_writer",
    "event_fields",
    "host_column",
    "print_name",
    "print_yaml",
    "row_of",
    "shows",
]

FORMS: Final = ("table", "wide", "csv", "json", "jsonl", "yaml", "name")

OUTCOME: Final = (
    "agent_id", "hostname", "outcome", "retcode", "execution_time", "stdout", "stderr", "error", "reason",
)  # fmt: skip
"""The fields of an outcome, for programs."""

_KINDS: Final = {
    "agents": "Agent", "agent": "Agent", "scripts": "Script", "clients": "Client", "checks": "Check",
    "tasks": "Task", "alerts": "Alert", "history": "HistoryEntry", "software": "Software",
    "updates": "WindowsUpdate", "services": "Service", "deploy": "Deployment",
}  # fmt: skip
"""The types of what the commands list; used by the completion of field names only."""

_NAMES: Final = frozenset({"agent_id", "hostname", "name"})
_OF_OUTCOMES: Final = frozenset(
    {"run", "resume", "results", "cmd", "patch", "reboot", "maintenance", "start", "stop", "restart"}
)


def event_fields() -> tuple[str, ...]:
    """The fields of events of all kinds, for programs."""
    first = ("event", "hostname", "agent_id", "time")
    return tuple(
        dict.fromkeys(
            (*first, *(name for kind in get_args(sdk.Event) for name in field_names(kind, hosted=False)))
        )
    )


def complete_fields(ctx: typer.Context, incomplete: str) -> list[str]:
    """The fields that the shell offers for --fields and --sort."""
    names = [ctx.info_name, ctx.parent.info_name if ctx.parent else None]
    kind = next((_KINDS[name] for name in names if name in _KINDS), None)
    if _OF_OUTCOMES & set(names):
        fields: Sequence[str] = OUTCOME
    elif {"watch", "webhooks"} & set(names):
        fields = event_fields()
    elif kind is None:
        return []
    else:
        hosted = kind not in {"Agent", "Script", "Client", "Deployment"}
        fields = field_names(getattr(sdk, kind), hosted=hosted)
    before, comma, _ = incomplete.rpartition(",")
    turned = "-" * incomplete.startswith("-")
    return [f"{before}{comma}{turned}{field}" for field in fields]


@dataclass(frozen=True, kw_only=True)
class Showing:
    """How one thing is shown, or rows that come one by one. Its fields are the options."""

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
            help="Only these fields, by their names in --json; client.name is a field inside a field.",
            autocompletion=complete_fields,
            rich_help_panel=FORM,
        ),
    ] = None
    jq: Annotated[
        str | None,
        typer.Option(
            "--jq",
            metavar="FILTER",
            help="Print the result of this jq filter on the JSON; with jsonl, on each line.",
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
        if self.jq is not None and form not in {"json", "jsonl"}:
            raise usage(f"--jq filters JSON: leave {form} out")
        object.__setattr__(self, "form", form)
        _ = self.filter

    @property
    def for_people(self) -> bool:
        """Whether the output is a table for people."""
        return self.form in {"table", "wide"}

    @property
    def in_words(self) -> bool:
        """Whether the command prints it in its own way: for people, and without --fields."""
        return self.for_people and self.columns is None

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
        """The fields of --fields; None for all of them. An unknown field is a `CommandError`.

        Args:
            kind: the type of the things, or the names of their fields; None if they aren't known.
            hosted: whether the rows also have `agent_id` and `hostname`.
        """
        if self.columns is None or kind is None:
            return _parts(self.columns)
        return chosen_fields(self.columns, kind, "--fields", hosted=hosted)

    def one(self, thing: Any, show: Callable[[Any], None], kind: Any = None) -> None:
        """Print one thing.

        Args:
            thing: the thing.
            show: prints it in the command's own way, for people.
            kind: its type, or the names of its fields; default: those of the thing itself.
        """
        names = tuple(thing) if isinstance(thing, Mapping) else type(thing)
        paths = self.paths(kind or names)
        if self.for_people and paths is None:
            show(thing)
        elif self.for_people:
            print_table([thing], columns_of(paths or (), None))
        elif self.form in {"json", "jsonl"}:
            row = row_of(thing, None, paths)
            if self.filter is not None:
                self.print_filtered(row)
            else:
                print(as_json_text(row, indent=2 if self.form == "json" else None))
        else:
            self.print_rows([thing], None, paths, None, flat_names(kind or names, paths, hosted=False))

    @contextmanager
    def stream(self, names: tuple[str, ...] = ()) -> Iterator[Callable[[Any], None]]:
        """Print rows as they come if the format allows it, else when the block ends.

        Nothing is printed if the command prints them in its own way, see `in_words`, nor if there is an error
        before the first row.

        Args:
            names: the fields of a row; empty if they aren't known.
        """
        paths = self.paths(names or None)
        if self.form in {"json", "jsonl"} and self.filter is None:
            with json_stream(as_array=self.form == "json") as emit:
                yield lambda thing: emit(row_of(thing, None, paths))
        elif self.form == "jsonl":
            yield lambda thing: self.print_filtered(row_of(thing, None, paths))
        elif self.form == "name":
            yield lambda thing: print_name(_name_of(thing, None))
        elif self.form == "csv" and (columns := paths or names):
            write = csv_writer(columns, heads=self.has_heads, flush=True)
            yield lambda thing: write(flat(row_of(thing, None, paths)))
        elif self.in_words:
            yield lambda _: None
        else:
            held: list[Any] = []
            try:
                yield held.append
            except Exception:
                if held:
                    self._print_held(held, names, paths)
                raise
            except BaseException:  # Ctrl-C is how following something ends
                self._print_held(held, names, paths)
                raise
            self._print_held(held, names, paths)

    def _print_held(self, held: Sequence[Any], names: tuple[str, ...], paths: tuple[str, ...] | None) -> None:
        if not self.for_people:
            self.print_rows(held, None, paths, None)
        elif held:
            told = [name for name in names if name != "agent_id" or self.form == "wide"]
            shown = columns_of(paths or told, None)
            print_table(held, shown, heads=self.has_heads, whole=self.form == "wide")

    @property
    def has_heads(self) -> bool:
        """Whether tables have a header line."""
        return True

    def print_rows(
        self,
        things: Sequence[Any],
        hosts: Mapping[str, str] | None,
        paths: tuple[str, ...] | None,
        name: Callable[[Any], object] | None,
        columns: Sequence[str] = (),
    ) -> None:
        """Print rows for programs.

        Args:
            things: a row each.
            hosts: host names by agents' ids; None if the rows are not of agents.
            paths: the fields of --fields; None for all.
            name: gives a thing's name, for `-o name`.
            columns: the columns of a flat table; default: those of the rows.
        """
        rows: Iterable[Any] = (row_of(thing, hosts, paths) for thing in things)
        if self.filter is not None:
            for data in rows if self.form == "jsonl" else [list(rows)]:
                self.print_filtered(data)
        elif self.form == "csv":
            told_rows = [flat(row, columns) for row in rows]
            # The header is printed without any row, too, if it is known: a program may look for its columns.
            if columns := columns or tuple(dict.fromkeys(each for row in told_rows for each in row)):
                write = csv_writer(columns, heads=self.has_heads)
                for row in told_rows:
                    write(row)
        elif self.form == "yaml":
            print_yaml(list(rows))
        elif self.form == "name":
            for thing in things:
                print_name(name(thing) if name else _name_of(thing, hosts))
        else:
            with json_stream(as_array=self.form == "json") as emit:
                for row in rows:
                    emit(row)

    def print_filtered(self, data: Any, *, flush: bool = False) -> None:
        """Print the results of the jq filter. With `flush`, and for `jsonl`, they are flushed at once."""
        flush = flush or self.form == "jsonl"
        try:
            for found in self.filter.input_value(data):
                # A text is printed without quotes, as gh does.
                if isinstance(found, str):
                    print(clean(found) if sys.stdout.isatty() else found, flush=flush)
                else:
                    print(as_json_text(found), flush=flush)
        except ValueError as error:
            raise usage(f"--jq: {one_line(clean(str(error)))}") from error


shows = folding("form", Showing)
"""Decorates a command that takes `form: Showing`: it gets the fields of that as options."""


def row_of(thing: Any, hosts: Mapping[str, str] | None, paths: tuple[str, ...] | None) -> Any:
    """A thing as a row for programs: all of its fields, or these."""
    if paths is None:
        return as_row(thing, hosts)
    return {path: as_row(value_of(thing, path, hosts)) for path in paths}


def columns_of(paths: Iterable[str], hosts: Mapping[str, str] | None) -> list[Column[Any]]:
    """Fields as the columns of a table."""

    def column(path: str) -> Column[Any]:
        return Column(
            path,
            lambda thing: words_of(value_of(thing, path, hosts)),
            styled=path == "status",
            names=path in _NAMES,
            differs=path in _NAMES,
            asked=True,
        )

    return [column(path) for path in paths]


def host_column(hosts: Mapping[str, str]) -> Column[Any]:
    """The column of the agents that rows belong to: by the hosts' names, or else by the agents' ids."""

    def name(thing: Any) -> object:
        return value_of(thing, HOST, hosts) or value_of(thing, "agent_id")

    return Column("Agent", name, names=True, differs=True)


def _parts(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def _name_of(thing: Any, hosts: Mapping[str, str] | None) -> object:
    for path in ("name", "hostname", "agent_id", "id"):
        if (value := value_of(thing, path, hosts)) is not None:
            return value
    return ""


def print_name(name: object) -> None:
    """Print a thing's name, for `-o name`."""
    print(one_line(clean(str(name))), flush=True)


class _Printed:
    """A file that prints what is written to it: to the `sys.stdout` of that moment, which a bar replaces."""

    def __init__(self, *, flush: bool) -> None:
        self._flush = flush

    def write(self, text: str) -> None:
        print(text, end="", flush=self._flush)


def csv_writer(
    columns: Sequence[str], *, heads: bool, flush: bool = False
) -> Callable[[Mapping[str, Any]], None]:
    """Make a function that prints rows as CSV. With `flush` each is flushed at once, the header too."""
    tidy: Callable[[str], str] = clean if sys.stdout.isatty() else str
    writer = csv.writer(_Printed(flush=flush), lineterminator="\n")
    if heads:
        writer.writerow(columns)

    def write(row: Mapping[str, Any]) -> None:
        cells = harmless(row.get(name) for name in columns)
        writer.writerow([tidy(one) if isinstance(one, str) else one for one in cells])

    return write


def print_yaml(rows: list[Any]) -> None:
    """Print these rows as a list in YAML."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise CommandError(Exit.FAILED, '-o yaml needs a package: pip install "trmm-async[cli]"') from error
    every = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    # By way of JSON, so that there are no types of ours, and no references from one row to another.
    told = json.loads(json.dumps(plain(rows)))
    print(yaml.safe_dump(told, sort_keys=False, allow_unicode=every), end="", flush=True)
