"""Logging in with the command line, and a keyring in memory."""

from typing import TYPE_CHECKING

import keyring.backend
import keyring.errors

from tests.cli.stage import Backstage

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


class Drawer(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.keys.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.keys[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.keys.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


def login(cli: "Cli", stage: Backstage, *words: str) -> None:
    said = cli("login", "--url", stage.url, "--key-stdin", *words, typed=f"{stage.api_key}\n")
    assert (said.code, said.out) == (0, ""), said.error
    assert stage.api_key not in said.error
