"""Groups of commands with a default: `trmm alerts` alone is `trmm alerts list`.

Below: typer, `plaintext`. Above: the commands.
"""

import shlex
from typing import Any

from typer.core import TyperGroup

from trmm_async.plaintext import near_matches

__all__ = ["ListAgents", "ListFirst", "ListOrName"]


class ListFirst(TyperGroup):
    """`trmm alerts` and `trmm alerts --json` are `trmm alerts list` and `trmm alerts list --json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `list` if it is left out."""
        # During completion (resilient parsing) `list` is not inserted, so that all commands are offered.
        left_out = not ctx.resilient_parsing if not args else args[0].startswith("-")
        if left_out and args[:1] not in (["-h"], ["--help"]):
            args = ["list", *args]
        return list(super().parse_args(ctx, args))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Offer the options of `list`, too."""
        found = super().shell_complete(ctx, incomplete)
        listing = self.commands.get("list")
        if listing is not None and incomplete.startswith("-"):
            found += listing.shell_complete(ctx, incomplete)
        return found


class ListAgents(ListFirst):
    """As `ListFirst`. `trmm agents JADE-PC` is an error that names the command for one agent."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command. Fails with a hint for a word that may be an agent's name."""
        if args and args[0] not in self.commands and not near_matches(args[0], self.commands):
            ctx.fail(f"No such command {args[0]!r}. One agent is shown by: trmm agent {shlex.quote(args[0])}")
        found: tuple[str | None, Any, list[str]] = super().resolve_command(ctx, args)
        return found


class ListOrName(ListFirst):
    """As `ListFirst`, and a name may follow: `trmm tasks JADE-PC` is `trmm tasks list JADE-PC`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `list` before a name, too."""
        if (
            args
            and not args[0].startswith("-")
            and args[0] not in self.commands
            and not ctx.resilient_parsing
        ):
            args = ["list", *args]
        return super().parse_args(ctx, args)
