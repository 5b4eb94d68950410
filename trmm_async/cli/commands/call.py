"""`trmm call` and `trmm api`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl, unquote

import typer

from trmm_async.cli.columns import Column
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.forms import FORMS, Showing, shows
from trmm_async.cli.listing import Found, Listing
from trmm_async.cli.options import DO, FORM, Yes, examples
from trmm_async.cli.output import as_json_text, say
from trmm_async.cli.prompts import go_on
from trmm_async.cli.rows import plain
from trmm_async.cli.session import connected, runs
from trmm_async.cli.shared_options import folding
from trmm_async.cli.text import clean

if TYPE_CHECKING:
    from trmm_async import TRMM
    from trmm_async.cli.client_methods import Method

__all__ = ["add_to"]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_GETS_THAT_ACT: Final = ("/core/clearcache/", "/agents/bulkrecovery/")
_COLUMNS: Final = 6


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "call",
        rich_help_panel=DO,
        epilog=examples(
            "trmm call policies.get 3",
            "trmm call sites.create --client Acme --name North",
            "trmm call policies.get --help",
        ),
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )(call)
    app.command(
        "api",
        rich_help_panel=DO,
        epilog=examples("trmm api GET /core/version/", "trmm api PUT /alerts/3/ --data '{\"id\": 3}'"),
    )(api)


@dataclass(frozen=True, kw_only=True)
class _CallForm(Listing):
    """As `Listing`, without `--output`, which is a parameter of some methods."""

    form: Annotated[
        str | None,
        typer.Option(
            "-o",
            metavar="FORM",
            help=f"{', '.join(FORMS[:-1])} or {FORMS[-1]}.",
            autocompletion=lambda: FORMS,
            rich_help_panel=FORM,
        ),
    ] = None


@runs
@folding("form", _CallForm)
async def call(
    context: typer.Context,
    method: Annotated[
        str | None,
        typer.Argument(metavar="METHOD", help="The method, as policies.get; without it, all are listed."),
    ] = None,
    yes: Yes = False,
    *,
    form: _CallForm,
    wants_help: Annotated[bool, typer.Option("--help", "-h", help="The method's parameters.")] = False,
) -> None:
    """Call any method of the library, with its parameters as options: names stand for ids.

    It asks before something is changed. `null` is None, several values are separated by commas, times are
    as in JSON.
    """
    from trmm_async.cli.client_methods import given, method_named, methods, told, typed

    if method is None:
        if wants_help:
            print(context.get_help())
            return
        for name in sorted(methods()):
            print(name)
        return
    found = method_named(method)
    if wants_help:
        _explain(found)
        return
    texts = typed(found, _words(found, form, context.args))
    if found.changes:
        _sure(told(found, texts), yes=yes, losses=found.losses.values())
    async with connected(context) as trmm:
        # The question named the losses, so that its answer allows them.
        values = dict.fromkeys(found.losses, True) | await given(trmm, found, texts)

        async def read() -> Any:
            try:
                return await found.of(trmm)(**values)
            except TypeError as error:
                raise usage(f"{found.name}: {error}") from error

        answer = await read()
        if isinstance(answer, list):
            first: list[Any] = [answer]

            async def again() -> Found:
                return Found(first.pop() if first else await read())

            await form.show(again, lambda _: _columns(answer), found.answer, none="nothing")
        else:
            _show(form, answer, found)


def _words(method: "Method", form: _CallForm, words: Sequence[str]) -> list[str]:
    """The words for the method. Options that contradict it are errors, before the user is asked."""
    if form.watch and (method.changes or not method.is_list):
        raise usage(f"--watch is for what lists; {method.name} does not")
    form.check(method.answer)
    has_limit = form.limit is not None and any(one.name == "limit" for one in method.parameters)
    return [*words, *(["--limit", str(form.limit)] if has_limit else [])]


@runs
@shows
async def api(
    context: typer.Context,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, PUT, PATCH or DELETE.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The path from the server's root, as /core/version/.")
    ],
    data: Annotated[str | None, typer.Option("--data", metavar="JSON", help="The body.")] = None,
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="NAME=VALUE", help="A parameter of the query; may be repeated."),
    ] = None,
    all_pages: Annotated[
        bool, typer.Option("--all-pages", help="Fetch all pages of a list, as one list.")
    ] = False,
    yes: Yes = False,
    *,
    form: Showing,
) -> None:
    """Send a request to any path of the server, with the usual limits and retries. The answer is JSON."""
    verb = method.upper()
    body = None if data is None else _body(data)
    params: dict[str, object] = {}
    for one in query or ():
        name, equals, value = one.partition("=")
        if not equals:
            raise usage(f"--query is NAME=VALUE, not {one!r}")
        params[name] = value
    if verb not in _METHODS:
        raise usage(f"METHOD is one of {', '.join(_METHODS)}; not {method!r}")
    if verb not in _READS or unquote(path) in _GETS_THAT_ACT:
        _sure(f"{verb} {path}", yes=yes)
    async with connected(context) as trmm:
        answer = await trmm.request(verb, path, params=params, json=body)
        if all_pages:
            answer = await _all_pages(trmm, path, params, answer)
        elif _is_page(answer) and answer["next"] is not None:
            say(f"{len(answer['results'])} of {answer.get('count', 'more')}: --all-pages asks for the rest")
    if isinstance(answer, list) and not form.in_words:
        with form.stream() as emit:
            for one in answer:
                emit(one)
    else:
        form.one(answer, lambda told: print(as_json_text(told, indent=2)))


def _is_page(answer: Any) -> bool:
    return isinstance(answer, Mapping) and isinstance(answer.get("results"), list) and "next" in answer


async def _all_pages(trmm: "TRMM", path: str, params: Mapping[str, object], answer: Any) -> Any:
    """The rows of this page and of all that follow. An answer that is no page is returned as it is.

    `next` is a URL, possibly with a host that only the server's proxy knows. So only its query is used.
    """
    if not _is_page(answer):
        return answer
    rows, seen = list(answer["results"]), {str(answer["next"])}
    while answer["next"] is not None:
        query = dict(parse_qsl(str(answer["next"]).partition("?")[2], keep_blank_values=True))
        answer = await trmm.request("GET", path, params={**params, **query})
        if not _is_page(answer) or str(answer["next"]) in seen:
            raise CommandError(Exit.FAILED, f"the pages of {path} have no end after {len(rows)} rows")
        seen.add(str(answer["next"]))
        rows += answer["results"]
    return rows


def _body(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise usage(f"--data is no JSON: {error}") from None


def _sure(what: str, *, yes: bool, losses: Iterable[str] = ()) -> None:
    """Ask before anything that may change something. Refuses if nobody can be asked."""
    if yes:
        return
    doing = clean(what)
    may = "; ".join(["may change something", *losses])
    go_on(f"refusing {doing} ({may}) without confirmation: no terminal. Add --yes", f"{doing} {may}")


def _explain(method: "Method") -> None:
    places = " ".join(
        name if one.is_required else f"[{name}]"
        for one in method.parameters
        if one.is_positional
        for name in [one.name.upper()]
    )
    print(f"trmm call {method.name} {places}".rstrip())
    for one in method.parameters:
        if not one.is_positional:
            print(f"  {one.option}{'  (needed)' if one.is_required else ''}")
    print(f"\n{method.help}")


def _show(form: Showing, answer: Any, method: "Method") -> None:
    if answer is not None:
        form.one(answer, _lines, method.answer)
    elif form.in_words:
        say(f"{method.name}: done")
    else:
        print("null")


def _fields(thing: Any) -> list[str]:
    """The fields that may be shown: of a type with secrets those that its repr shows."""
    shown: tuple[str, ...] = getattr(type(thing), "_shown", ())
    names = shown or tuple(getattr(type(thing), "__struct_fields__", ()))
    return [name for name in names if name != "extra"]


def _columns(things: list[Any]) -> tuple[Column[Any], ...]:
    if not hasattr(things[0], "__struct_fields__"):
        return (Column("Answer", plain, keep=True),)
    told = [name for name in _fields(things[0]) if any(_is_short(getattr(one, name)) for one in things)]
    return tuple(
        Column(name.replace("_", " ").capitalize(), lambda one, name=name: plain(getattr(one, name)))  # type: ignore[misc]
        for name in told[:_COLUMNS]
    )


def _is_short(value: object) -> bool:
    return value not in (None, "", (), {}) and not isinstance(value, Mapping | list)


def _lines(answer: Any) -> None:
    if isinstance(answer, Mapping):
        pairs = [(str(name), value) for name, value in answer.items()]
    else:
        pairs = [(name, getattr(answer, name)) for name in _fields(answer)]
    if not pairs:
        print(clean(str(plain(answer))))
    for name, value in pairs:
        if value not in (None, "", (), {}):
            print(clean(f"{name}: {plain(value)}"))
