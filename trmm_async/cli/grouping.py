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
        left_out = not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"})
        if left_out and not ctx.resilient_parsing:  # which is completion: there all words are offered
            args = ["list", *args]
        return list(super().parse_args(ctx, args))


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
