"""Makes connected clients from the settings, and commands from asynchronous functions.

Below: `keys`, `waits`. Above: the commands.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import typer

import trmm_async as sdk
from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.keys import key_for
from trmm_async.cli.waits import attended
from trmm_async.effective_settings import (
    GlobalOptions,
    Key,
    Settings,
    client_settings,
    dialect_writer,
    resolve,
)
from trmm_async.profiles import ProfileFile, read_profile_file

__all__ = ["Login", "client_of", "connected", "given_of", "login_of", "require_stock", "runs"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Login:
    """A server and a key for it."""

    settings: Settings
    key: Key


def runs(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a command from an asynchronous function."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return asyncio.run(function(*args, **kwargs))
        except BrokenPipeError as error:
            # typer would take it for a failure, but the reader has enough, as in `trmm agents | head`.
            raise CommandError(Exit.PIPE_CLOSED, "") from error

    return run


def given_of(context: typer.Context) -> GlobalOptions:
    """The options for all commands."""
    given = context.find_object(GlobalOptions)
    return given if given is not None else GlobalOptions()


def login_of(context: typer.Context, *, may_ask: bool = True, book: ProfileFile | None = None) -> Login:
    """The server and the key to use."""
    book = book or read_profile_file()
    settings = resolve(given_of(context), book)
    return Login(settings, key_for(settings, book, may_ask=may_ask))


@asynccontextmanager
async def client_of(settings: Settings, key: str, *, retries: int = 3) -> AsyncIterator["sdk.TRMM"]:
    """A client with these settings. On a terminal it shows why it waits."""
    async with (
        sdk.TRMM(settings.url, api_key=key, retries=retries, **client_settings(settings)) as trmm,
        attended(trmm),
    ):
        yield trmm


@asynccontextmanager
async def connected(context: typer.Context) -> AsyncIterator["sdk.TRMM"]:
    """The client for this command."""
    book = read_profile_file()
    login = login_of(context, book=book)
    async with client_of(login.settings, login.key.value) as trmm:
        try:
            yield trmm
        finally:
            remember = dialect_writer(login.settings, book)
            if remember is not None and trmm.dialect != "auto":
                remember(trmm.dialect)


def require_stock(trmm: "sdk.TRMM", method: str) -> None:
    """Refuse a method that a gateway doesn't have, before the user is asked. The dialect must be known.

    Raises:
        UnsupportedError: the server is a gateway; the text says what to use instead.
    """
    if trmm.dialect == "gateway":
        from trmm_async.dialects import Gateway

        Gateway().require_stock(method)
