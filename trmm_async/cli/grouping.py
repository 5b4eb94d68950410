"""Commands with commands of their own, whose first is what they do by themselves.

Below: typer. Above: the commands.
"""

from typing import Any

from typer.core import TyperGroup

__all__ = ["ListFirst", "ListOrName"]


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
