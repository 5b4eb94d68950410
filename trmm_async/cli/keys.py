"""Where the API key comes from: the environment, the profile, the system's keyring, or whoever sits there.

A key is used only with the address that it stands beside. It is never printed.

Below: `settings`. Above: `session`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from trmm_async.cli.asking import ask_secretly, somebody_is_here
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.settings import Book, Settings, same_server
from trmm_async.cli.text import bare

__all__ = ["Key", "ask_key", "find_key", "forget_in_keyring", "store_in_keyring"]

SERVICE: Final = "trmm"
"""What our keys are filed under in a keyring; the address is the user name."""


@dataclass(frozen=True)
class Key:
    """A key, and in words where it is from."""

    value: str = field(repr=False)
    source: str


def find_key(
    settings: Settings, book: Book, environ: Mapping[str, str] = os.environ, *, may_ask: bool = True
) -> Key:
    """The key for this server: from the environment, its profile, the keyring, or asked for."""
    if settings.profile_first:
        found = _from_profile(settings, book) or _from_environment(settings, environ)
    else:
        found = _from_environment(settings, environ) or _from_profile(settings, book)
    if found:
        return found
    if may_ask and somebody_is_here():
        return Key(ask_key(settings.url), "the terminal")
    url = environ.get("TRMM_URL")
    other = f" (that in TRMM_API_KEY is for {url})" if environ.get("TRMM_API_KEY") and url else ""
    raise usage(
        f"no API key for {settings.url}{other}: set TRMM_API_KEY, or write a profile with `trmm login`"
        + (f" ({book.problem})" if book.problem else "")
    )


def _from_environment(settings: Settings, environ: Mapping[str, str]) -> Key | None:
    value, url = bare(environ.get("TRMM_API_KEY", "")), bare(environ.get("TRMM_URL", ""))
    if not value or (url and not same_server(url, settings.url)):
        return None
    return Key(value, "TRMM_API_KEY")


def _from_profile(settings: Settings, book: Book) -> Key | None:
    profile = settings.profile
    if profile is None or not same_server(profile.url, settings.url):
        return None
    if profile.api_key:
        if book.exposed:
            raise usage(f"the key in {book.path} is not used, for {book.exposed}: chmod 600 {book.path}")
        return Key(bare(profile.api_key), f"profile {profile.name}")
    if profile.keyring:
        return Key(_from_keyring(settings.url), "keyring")
    return None


def ask_key(url: str) -> str:
    """Ask for the key on the terminal, without showing what is typed."""
    value = ask_secretly(f"API key for {url}: ")
    if not value:
        raise usage("no API key was given")
    return value


def _from_keyring(url: str) -> str:
    with _telling("the keyring can't be read"):
        value = _keyring().get_password(SERVICE, url.rstrip("/"))
    if not value:
        raise usage(f"the keyring has no key for {url}: `trmm login --keyring` puts it there")
    return bare(value)


def store_in_keyring(url: str, value: str) -> None:
    """Put the key into the system's keyring, and see that it is there: there are some that keep nothing."""
    name = url.rstrip("/")
    with _telling("the keyring takes no key", "; without --keyring the file has it"):
        keyring = _keyring()
        keyring.set_password(SERVICE, name, value)
        kept = keyring.get_password(SERVICE, name)
        backend = type(keyring.get_keyring())
    if kept != value:
        raise CommandError(
            Exit.FAILED,
            f"the keyring ({backend.__module__}.{backend.__qualname__}) keeps nothing: `keyring diagnose` "
            "tells more; without --keyring the file has the key",
        )


def forget_in_keyring(url: str) -> None:
    """Take the key out of the system's keyring; it need not be there."""
    with _telling("the keyring can't be changed"):
        keyring, name = _keyring(), url.rstrip("/")
        try:
            keyring.delete_password(SERVICE, name)
        except keyring.errors.PasswordDeleteError:  # which says that it is not there, or not to be deleted
            if keyring.get_password(SERVICE, name):
                raise


@contextmanager
def _telling(what: str, advice: str = "") -> Iterator[None]:
    """A keyring's error in a line: each kind of keyring has its own, and one may fail to be loaded."""
    try:
        yield
    except CommandError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise CommandError(Exit.FAILED, f"{what}: {reason}{advice}") from error


def _keyring() -> Any:
    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError as error:
        raise CommandError(
            Exit.USAGE, 'the keyring needs a package: pip install "trmm-async[keyring]"'
        ) from error
    return keyring
