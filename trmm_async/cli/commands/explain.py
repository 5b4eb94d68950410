"""`trmm explain`: the pages about errors, without a network.

Below: the texts in `trmm_async/explanations`. Above: `app`.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from typing import Annotated, Final

import typer

from trmm_async.cli.columns import Column
from trmm_async.cli.exits import usage
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import SET_UP, examples
from trmm_async.cli.output import screen
from trmm_async.cli.session import runs

__all__ = ["add_to", "names", "page"]

_FOLDER: Final = files("trmm_async") / "explanations"


@dataclass(frozen=True)
class Explanation:
    """An error's name, and its page in Markdown."""

    error: str
    page: str


_FIELDS: Final = ("error", "page")
_COLUMNS: Final[tuple[Column[Explanation], ...]] = (
    Column("Error", lambda told: told.error, names=True, differs=True),
    Column("Means", lambda told: _summary(told.page)),
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    hint = examples("trmm explain", "trmm explain OutcomeUnknownError", "trmm explain ratelimited")
    app.command("explain", rich_help_panel=SET_UP, epilog=hint)(explain)


@runs
@lists
async def explain(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The error's name; without it, all are listed.")
    ] = "",
    *,
    form: Listing,
) -> None:
    """Explain an error: what happened, and what to do now."""
    if name:
        known = _known(name)
        form.one(Explanation(known, page(known)), _show, _FIELDS)
        return

    async def read() -> Found:
        return Found([Explanation(one, page(one)) for one in names()])

    await form.show(read, lambda _: _COLUMNS, _FIELDS, none="", name=lambda told: told.error)


def _show(told: Explanation) -> None:
    text, console = told.page, screen()
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(text, hyperlinks=False), width=min(console.width, 100))
    else:
        print(text, end="")


def names() -> list[str]:
    """The errors that have a page: the root first, then in alphabetical order."""
    told = {one.name.removesuffix(".md") for one in _FOLDER.iterdir() if one.name.endswith(".md")}
    return ["TRMMError", *sorted(told - {"TRMMError"})]


def page(name: str) -> str:
    """The page of an error, in Markdown."""
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")


def _known(name: str) -> str:
    """The error's name, from what was typed: case, dashes and a final "Error" don't matter."""
    known = {_bare(one): one for one in names()}
    asked = _bare(name.rpartition(".")[2])
    if asked in known:
        return known[asked]
    near = get_close_matches(asked, known, n=1)
    hint = f"did you mean {known[near[0]]!r}?" if near else "`trmm explain` lists them"
    raise usage(f"there is no error {name!r}; {hint}")


def _bare(name: str) -> str:
    letters = "".join(letter for letter in name.casefold() if letter.isalnum())
    return letters.removesuffix("error")


def _summary(text: str) -> str:
    """The paragraph below the heading, in one line."""
    return text.split("\n\n", 2)[1].replace("\n", " ")
