"""A parameter whose fields are a command's options."""

import asyncio
import inspect
from dataclasses import dataclass

from trmm_async.cli.shared_options import folding


@dataclass(frozen=True, kw_only=True)
class Filters:
    client: str | None = None
    site: str | None = None


@folding("where", Filters)
async def command(name: str, *, where: Filters, yes: bool = False) -> tuple[str, Filters, bool]:
    return name, where, yes


def test_the_fields_are_parameters_in_its_place() -> None:
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["name", "client", "site", "yes"]
    assert command.__annotations__["client"] == (str | None)


def test_the_command_gets_them_as_one_value() -> None:
    given = {"name": "a", "client": "Acme", "site": None, "yes": True}
    assert asyncio.run(command(**given)) == ("a", Filters(client="Acme"), True)
