"""Finds the API key of a command, or asks the user for it, and keeps it in the system's keyring.

It is never printed.

Below: `prompts`. Above: `session`.
"""

from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.prompts import ask_secretly, somebody_is_here
from trmm_async.effective_settings import (
    SERVICE,
    Key,
    Settings,
    find_key,
    keyring_errors,
    keyring_library,
    no_key,
)
from trmm_async.profiles import ProfileFile

__all__ = ["ask_key", "forget_in_keyring", "key_for", "store_in_keyring"]


def key_for(settings: Settings, book: ProfileFile, *, may_ask: bool = True) -> Key:
    """The key for this server: by `find_key`, or else the user is asked."""
    if found := find_key(settings, book):
        return found
    if may_ask and somebody_is_here():
        return Key(ask_key(settings.url), "the terminal")
    raise no_key(settings, book)


def ask_key(url: str) -> str:
    """Ask for the key on the terminal, without showing what is typed."""
    value = ask_secretly(f"API key for {url}: ")
    if not value:
        raise usage("no API key was given")
    return value


def store_in_keyring(url: str, value: str) -> None:
    """Store the key in the system's keyring, and read it back: some keyrings keep nothing."""
    name = url.rstrip("/")
    with keyring_errors(
        "the key can't be stored in the keyring", "; without --keyring it is stored in the file"
    ):
        keyring = keyring_library()
        keyring.set_password(SERVICE, name, value)
        kept = keyring.get_password(SERVICE, name)
        backend = type(keyring.get_keyring())
    if kept != value:
        raise CommandError(
            Exit.FAILED,
            f"the keyring ({backend.__module__}.{backend.__qualname__}) did not keep the key: `keyring "
            "diagnose` says more; without --keyring the key is stored in the file",
        )


def forget_in_keyring(url: str) -> None:
    """Remove the key from the system's keyring, if it is there."""
    with keyring_errors("the keyring can't be changed"):
        keyring, name = keyring_library(), url.rstrip("/")
        try:
            keyring.delete_password(SERVICE, name)
        except keyring.errors.PasswordDeleteError:  # it is not there, or can't be deleted
            if keyring.get_password(SERVICE, name):
                raise
