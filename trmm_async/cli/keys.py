"""Where the API key comes from: the environment, the profile, the system's keyring, or whoever sits there.

A key is used only with the address that it stands beside. It is never printed.

Below: `settings`. Above: `session`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

from trmm_async.cli.asking import ask_secretly, somebody_is_here
from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.settings import Book, Settings, same_server

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
    )


def _from_environment(settings: Settings, environ: Mapping[str, str]) -> Key | None:
    value, url = environ.get("TRMM_API_KEY"), environ.get("TRMM_URL")
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
        return Key(profile.api_key, f"profile {profile.name}")
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
    keyring = _keyring()
    try:
        value: str | None = keyring.get_password(SERVICE, url.rstrip("/"))
    except keyring.errors.KeyringError as error:
        raise CommandError(Exit.FAILED, f"the keyring can't be read: {error}") from error
    if not value:
        raise usage(f"the keyring has no key for {url}: `trmm login --keyring` puts it there")
    return value


def store_in_keyring(url: str, value: str) -> None:
    """Put the key into the system's keyring."""
    keyring = _keyring()
    try:
        keyring.set_password(SERVICE, url.rstrip("/"), value)
    except keyring.errors.KeyringError as error:
        raise CommandError(
            Exit.FAILED, f"the keyring takes no key: {error}; without --keyring the file has it"
        ) from error


def forget_in_keyring(url: str) -> None:
    """Take the key out of the system's keyring; it need not be there."""
    keyring = _keyring()
    try:
        keyring.delete_password(SERVICE, url.rstrip("/"))
    except keyring.errors.PasswordDeleteError:
        return
    except keyring.errors.KeyringError as error:
        raise CommandError(Exit.FAILED, f"the keyring can't be changed: {error}") from error


def _keyring() -> ModuleType:
    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError as error:
        raise CommandError(
            Exit.USAGE, 'the keyring needs a package: pip install "trmm-async[keyring]"'
        ) from error
    return keyring
