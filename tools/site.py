"""What makes a site of docs/: pages of the reference and of the errors, fences and links that a browser can show.

A hook of mkdocs; `make docs` runs it. The reference is made from the package's own names, so that a public name
can't be missing from it.
"""

import importlib
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import trmm_async
from trmm_async.cli.commands.explain import names, page

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = "https://github.com/trmm-async/trmm-async/blob/main/"

_OUTSIDE: Final = re.compile(r"\]\(\.\./([^)\s]+)\)")
_FENCE: Final = re.compile(r"^```(\w+) ([a-z-]+)$", re.MULTILINE)
_SESSION: Final = re.compile(r"^<!-- .*? -->\n?", re.MULTILINE)

_PLACES: Final = (
    ("client", "The client", {"client", "limits", "transport.connector", "transport.raw"}),
    ("fleet", "Runs on a fleet", {"fleet", "outcomes", "resources.selector"}),
    ("events", "Events", {"events", "stream", "webhooks"}),
    ("mirror", "The mirror", {"mirror"}),
    ("observing", "Observing", {"observing"}),
    ("words", "Known words", {"words"}),
)
"""The pages of what is no noun's own: file, title, and the rooms whose names stand there."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the navigation."""
    for part in config.nav or ():
        if "Reference" in part:
            part["Reference"] = [{title: path} for path, title, _ in _reference()]
        elif "Errors" in part:
            part["Errors"] = ["errors/index.md", *(f"errors/{name}.md" for name in names())]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {path: text for path, _, text in _reference()}
    made |= {f"errors/{name}.md": _explained(name) for name in names()}
    made["errors/index.md"] = _all_errors()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links out of docs/ lead to the source; what the tests are told of a fence is left out."""
    del config, files
    if page.file.src_uri == "README.md":
        markdown = f"{_quickstart()}\n## All pages\n{markdown.partition(chr(10))[2]}"
    markdown = _OUTSIDE.sub(rf"]({SOURCE}\1)", markdown)
    markdown = _SESSION.sub("", markdown)
    return _FENCE.sub(
        lambda fence: f'```{fence[1]} title="It prints"' if fence[2] == "output" else f"```{fence[1]}",
        markdown,
    )


def _quickstart() -> str:
    """The front page of the project up to where it lists the pages, which stand below it here."""
    return (ROOT / "README.md").read_text(encoding="utf-8").partition("## What else there is")[0]


def _explained(name: str) -> str:
    kind = getattr(trmm_async, name, None) or getattr(trmm_async.errors, name)
    return f"{page(name)}\n## The class\n\n{_of(kind, level=3)}\n"


def _all_errors() -> str:
    rows = "\n".join(f"| [`{name}`]({name}.md) | {page(name).split(chr(10) * 2)[1]} |" for name in names())
    return (
        "# Errors\n\nThe same pages are shown by `trmm explain NAME`, without a network.\n\n"
        f"| error | means |\n| --- | --- |\n{rows}\n"
    )


def _reference() -> Iterator[tuple[str, str, str]]:
    """Each page of the reference: its path, its title, its text."""
    left = [name for name in trmm_async.__all__ if not name.endswith("Error")]
    for file, title, rooms in _PLACES:
        homes = [importlib.import_module(f"trmm_async.{room}") for room in rooms]
        here = [name for name in left if any(name in home.__all__ for home in homes)]
        left = [name for name in left if name not in here]
        yield f"reference/{file}.md", title, _page(title, here)
    for noun, kind in sorted(typing.get_type_hints(trmm_async.TRMM).items()):
        if not noun.startswith("_"):
            yield (
                f"reference/trmm.{noun}.md",
                f"trmm.{noun}",
                f"# trmm.{noun}\n\n{''.join(_noun(noun, kind))}",
            )
    yield (
        "reference/models.md",
        "Models",
        _page("Models", [name for name in left if not name.startswith("_")]),
    )
    testing = importlib.import_module("trmm_async.testing")
    yield "reference/testing.md", "trmm_async.testing", _page("trmm_async.testing", testing.__all__, testing)


def _page(title: str, there: list[str], home: Any = trmm_async) -> str:
    return f"# {title}\n\n" + "\n".join(_of(getattr(home, name), f"{home.__name__}.{name}") for name in there)


def _noun(name: str, kind: type) -> Iterator[str]:
    """A noun with its methods, and the nouns in it."""
    yield _of(kind, level=2)
    for inner, inside in typing.get_type_hints(kind).items():
        if not inner.startswith("_"):
            yield f"\n\n## {name}.{inner}\n\n{_of(inside, level=3)}"


def _of(thing: Any, name: str = "", *, level: int = 2) -> str:
    """The directive by which a class, a function or a word of types is shown."""
    home = getattr(thing, "__module__", "")
    own = getattr(thing, "__qualname__", "")
    path = f"{home}.{own}" if home.startswith("trmm_async") and own else name
    lines = [f"::: {path}", "    options:", f"      heading_level: {level}"]
    if isinstance(thing, type) and issubclass(thing, msgspec.Struct):  # its fields are what it is
        lines += [
            "      show_if_no_docstring: true",
            "      summary: false",
            '      filters: ["!^_", "!^to_dict$"]',
        ]
    return "\n".join([*lines, ""])
