"""The formats of outcomes: in groups or as they come, rows in any format, and a file for each host.

Below: `forms`, `host_files`. Above: `run_follower`, `fleet_actions`, and the commands that show outcomes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trmm_async.cli.forms import OUTCOME, Showing
from trmm_async.cli.host_files import HostFiles
from trmm_async.cli.listing import Limit, NoHeaders, Sort
from trmm_async.cli.options import FORM
from trmm_async.cli.output import say
from trmm_async.cli.rows import chosen_fields, fields_to_sort_by, in_order
from trmm_async.cli.shared_options import folding

__all__ = ["OutcomeForm", "tells"]


@dataclass(frozen=True, kw_only=True)
class OutcomeForm(Showing):
    """How outcomes are shown. Its fields are the options."""

    sort: Sort = None
    limit: Limit = None
    no_headers: NoHeaders = False
    as_they_come: Annotated[
        bool | None,
        typer.Option(
            "--live/--grouped",
            help="Print what each host says as it comes, or at the end those together that said the same. "
            "cmd is live without either, all others are grouped.",
            rich_help_panel=FORM,
            show_default=False,
        ),
    ] = None
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Also write the output of each host into a file of its own, DIR/HOST.txt.",
            rich_help_panel=FORM,
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.paths(OUTCOME)
        if self.sort is not None:
            names = ",".join(name for name, _ in fields_to_sort_by(self.sort))
            chosen_fields(names, OUTCOME, "--sort")

    @property
    def in_words(self) -> bool:
        """As `Showing.in_words`. With --sort or --limit, a table has a row for each outcome."""
        return self.form == "table" and self.columns is None and self.sort is None and self.limit is None

    @property
    def has_heads(self) -> bool:
        """Whether tables have a header line: by --no-headers."""
        return not self.no_headers

    def files(self, hosts: Mapping[str, str]) -> HostFiles | None:
        """Writes a file for each host; None without --output-dir. For errors see `HostFiles`."""
        return None if self.output_dir is None else HostFiles(self.output_dir, hosts)

    @contextmanager
    def stream(self, names: tuple[str, ...] = OUTCOME) -> Iterator[Callable[[Any], None]]:
        """As `Showing.stream`. With --sort, all rows are printed when the block ends."""
        shown, count = 0, 0
        held: list[Any] = []
        with super().stream(names) as emit:

            def show(row: Any) -> None:
                nonlocal shown, count
                count += 1
                if self.limit is None or shown < self.limit:
                    shown += 1
                    emit(row)

            try:
                yield held.append if self.sort else show
            finally:
                if self.sort:
                    held = in_order(held, self.sort)
                for row in held:
                    show(row)
        if shown < count:
            say(f"{shown} of {count}")


tells = folding("form", OutcomeForm)
"""Decorates a command that takes `form: OutcomeForm`: it gets the fields of that as options."""
