"""Commands with commands of their own, whose first is what they do by themselves.

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
        """Put the word in, where it is left out."""
        # While Tab is pressed (resilient parsing) all words are offered where there is none yet.
        left_out = not ctx.resilient_parsing if not args else args[0].startswith("-")
        if left_out and args[:1] not in (["-h"], ["--help"]):
            args = ["list", *args]
        return list(super().parse_args(ctx, args))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Offer the options of the list, too."""
        found = super().shell_complete(ctx, incomplete)
        listing = self.commands.get("list")
        if listing is not None and incomplete.startswith("-"):
            found += listing.shell_complete(ctx, incomplete)
        return found


class ListAgents(ListFirst):
    """The same for agents; one that is named is shown by another command, which is told."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command."""
        if args and args[0] not in self.commands and not near_matches(args[0], self.commands):
            ctx.fail(f"No such command {args[0]!r}. One agent is shown by: trmm agent {shlex.quote(args[0])}")
        found: tuple[str | None, Any, list[str]] = super().resolve_command(ctx, args)
        return found


class ListOrName(ListFirst):
    """The same, where what is listed may be named: `trmm tasks JADE-PC` is `trmm tasks list JADE-PC`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word in before a name, too."""
        if (
            args
            and not args[0].startswith("-")
            and args[0] not in self.commands
            and not ctx.resilient_parsing
        ):
            args = ["list", *args]
        return super().parse_args(ctx, args)
