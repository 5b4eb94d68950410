"""`trmm login`, `trmm profiles`: the file of settings."""

import os
from dataclasses import replace
from typing import Annotated, Any, Final

import typer

import trmm_async as sdk
from trmm_async.addresses import same_server
from trmm_async.cli.columns import Column
from trmm_async.cli.exits import Exit, usage
from trmm_async.cli.groups import ListFirst
from trmm_async.cli.keys import ask_key, forget_in_keyring, store_in_keyring
from trmm_async.cli.listing import Found, Listing, lists
from trmm_async.cli.options import SET_UP, examples
from trmm_async.cli.output import say
from trmm_async.cli.prompts import ask, read_stdin, somebody_is_here
from trmm_async.cli.session import client_of, given_of, runs
from trmm_async.cli.settings import write_profile_file
from trmm_async.cli.text import bare
from trmm_async.effective_settings import VARIABLES, GlobalOptions, Settings, connection_settings
from trmm_async.profiles import Profile, ProfileFile, read_profile_file
from trmm_async.tls_files import certificate_files
from trmm_async.url_checks import base_url

__all__ = ["add_to"]

_COLUMNS: Final[tuple[Column[Any], ...]] = (
    Column("Profile", lambda row: row["name"], names=True, differs=True),
    Column("URL", lambda row: row["url"]),
    Column("Dialect", lambda row: row["dialect"]),
    Column("Key", lambda row: row["key"]),
    Column("Default", lambda row: "yes" if row["default"] else ""),
)
_FIELDS: Final = ("name", "url", "dialect", "key", "default")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "login",
        rich_help_panel=SET_UP,
        epilog=examples(
            "trmm login --url https://api.example.com",
            "trmm login --url https://api.lab.example.com --profile lab --keyring",
            "pass trmm | trmm login --url https://api.example.com --key-stdin",
        ),
    )(login)
    group = typer.Typer(cls=ListFirst, help="The profiles that `trmm login` wrote: list, use, remove.")
    group.command("list", epilog=examples("trmm profiles"))(list_profiles)
    group.command("use", epilog=examples("trmm profiles use lab"))(use)
    group.command("remove", epilog=examples("trmm profiles remove lab"))(remove)
    app.add_typer(group, rich_help_panel=SET_UP, name="profiles")


@runs
async def login(
    context: typer.Context,
    keyring: Annotated[
        bool, typer.Option("--keyring", help="Store the key in the system's keyring, not in the file.")
    ] = False,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the key from stdin instead of asking for it.")
    ] = False,
    use_it: Annotated[
        bool, typer.Option("--default", help="Make it the profile that is used without --profile.")
    ] = False,
) -> None:
    """Check a key, and write a profile with it: --url says which server, --profile the profile's name.

    Only you can read the file. There is no option for the key, since the process list would show it.
    """
    book, given = read_profile_file().checked(), given_of(context)
    name = given.profile or "default"
    old = book.profiles.get(name)
    url = _url(given, old, may_ask=not key_stdin)
    key = _read_key() if key_stdin else _ask(url)
    new = _profile(name, url, given, old)
    new = replace(new, dialect=await _checked(new, key, given, book))
    if keyring:
        store_in_keyring(url, key)
    new = replace(new, keyring=keyring, api_key=None if keyring else key)
    default = name if use_it or not book.default else book.default
    write_profile_file(replace(book, default=default, profiles={**book.profiles, name: new}))
    where = "the keyring" if keyring else str(book.path)
    say(f"profile {name} is written: {url}, {new.dialect}; the key is in {where}")


def _url(given: GlobalOptions, old: Profile | None, *, may_ask: bool) -> str:
    url = given.url or (old.url if old else "") or bare(os.environ.get(VARIABLES["url"], ""))
    if not url and may_ask and somebody_is_here():
        url = ask("The server's address: ")
    if not url:
        raise usage("which server? Say --url https://api.example.com")
    base_url(url, allow_http=True)
    return url


def _ask(url: str) -> str:
    if not somebody_is_here():
        raise usage("nobody is here to be asked for the key: --key-stdin reads it from stdin")
    return ask_key(url)


def _read_key() -> str:
    try:
        key = bare(read_stdin(line=True))
    except UnicodeDecodeError as error:
        raise usage("the key on stdin is no text in UTF-8") from error
    if not key:
        raise usage("there was no key on stdin")
    return key


def _profile(name: str, url: str, given: GlobalOptions, old: Profile | None) -> Profile:
    same = old if old and same_server(old.url, url) else Profile(name)
    return Profile(
        name,
        url=url,
        dialect=given.dialect or same.dialect,
        rate_limit=given.rate_limit or same.rate_limit,
        allow_http=given.allow_http or same.allow_http,
        shared_limits=same.shared_limits,
        proxy=given.proxy or same.proxy,
        ca=_from_anywhere(given.ca) or same.ca,
        cert=_from_anywhere(given.cert) or same.cert,
    )


def _from_anywhere(files: str | None) -> str | None:
    """A file, or two with a colon between, as absolute paths."""
    return files and ":".join(str(file.absolute()) for file in certificate_files(files) if file)


async def _checked(profile: Profile, key: str, given: GlobalOptions, book: ProfileFile) -> str:
    """Check the key with a request. Returns the server's dialect."""
    settings = Settings(
        profile.url,
        dialect=profile.dialect or "auto",
        rate_limit=profile.rate_limit,
        allow_http=bool(profile.allow_http),
        shared_limits=bare(os.environ.get(VARIABLES["shared_limits"], "")) or profile.shared_limits,
        **connection_settings(profile.url, given, profile, book),
    )
    async with client_of(settings, key) as trmm:
        try:
            await trmm.clients.list()
        except sdk.PermissionDeniedError:
            say("the key works, but may not list clients; `trmm doctor` shows what it may", "yellow")
        return trmm.dialect


@runs
@lists
async def list_profiles(*, form: Listing) -> None:
    """List profiles. Keys are not shown."""
    path = read_profile_file().checked().path

    async def read() -> Found:
        book = read_profile_file().checked()
        return Found([_row(profile, book) for _, profile in sorted(book.profiles.items())])

    none = f"no profile in {path}: `trmm login` writes one"
    await form.show(read, lambda _: _COLUMNS, _FIELDS, none=none)


def _row(profile: Profile, book: ProfileFile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "url": _without_password(profile.url),
        "dialect": profile.dialect or "auto",
        "key": _where_the_key_is(profile, book),
        "default": profile.name == book.default,
    }


def _without_password(url: str) -> str:
    """We write none, and take none; a file that was written by hand may have one."""
    scheme, colon, rest = url.partition("://")
    _, at, place = rest.rpartition("@")
    return f"{scheme}{colon}…@{place}" if at else url


def _where_the_key_is(profile: Profile, book: ProfileFile) -> str:
    if profile.api_key:
        return f"file, not used: {book.exposed}" if book.exposed else "file"
    return "keyring" if profile.keyring else "asked for"


def use(name: Name) -> None:
    """Make a profile the one that is used without --profile."""
    book = read_profile_file()
    write_profile_file(replace(book, default=book.find(name).name))
    say(f"{name} is the default")


def remove(name: Name) -> int:
    """Remove a profile, and its key from the keyring."""
    book = read_profile_file()
    profile = book.find(name)
    if profile.keyring:
        forget_in_keyring(profile.url)
    left = {other: each for other, each in book.profiles.items() if other != name}
    write_profile_file(replace(book, default=book.default if book.default in left else None, profiles=left))
    say(f"{name} is removed")
    return Exit.OK
