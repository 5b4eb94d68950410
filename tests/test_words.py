"""Words of which there are a few: one `Literal` each, closed for arguments and open for answers."""

import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest

import trmm_async as sdk
from trmm_async import arguments, words
from trmm_async.cli.client_methods import methods
from trmm_async.codec import decoder
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Noun

NAMES = sorted({*words.__all__} - {"Open"})
OF_A_FEW = {
    "plat",
    "monitoring_type",
    "severity",
    "shell",
    "check_type",
    "task_type",
    "alert_type",
    "script_type",
}


def literals(hint: Any) -> list[Any]:
    """The literals anywhere within a type."""
    if typing.get_origin(hint) is Literal:
        return [hint]
    parts = (*typing.get_args(hint), *getattr(hint, "__metadata__", ()))
    return [found for part in parts for found in literals(part)]


def nouns(kind: type[Any] = Noun) -> Iterator[type[Any]]:
    one: type[Any]
    for one in kind.__subclasses__():
        yield one
        yield from nouns(one)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_public_and_a_literal(name: str) -> None:
    assert typing.get_origin(getattr(sdk, name)) is Literal
    assert len(set(typing.get_args(getattr(sdk, name)))) > 1


def test_every_field_of_a_noun_that_is_one_of_a_few_says_which() -> None:
    for name in sdk.__all__:
        getattr(sdk, name)  # every room is loaded
    plain = {
        f"{noun.__name__}.{field}"
        for noun in nouns()
        if noun.__module__.startswith("trmm_async.") and noun.__name__[0] != "_"
        for field, hint in typing.get_type_hints(noun, include_extras=True).items()
        if field in OF_A_FEW and not literals(hint)
    }
    # A path, too, where an agent runs a command; and Microsoft's own word, in the language it pleases.
    assert plain == {"CommandAction.shell", "WindowsUpdate.severity"}


def test_every_parameter_that_is_one_of_a_few_says_which() -> None:
    plain = {
        f"{method.name}({parameter.name})"
        for method in methods().values()
        for parameter in method.parameters
        if parameter.name in OF_A_FEW and not literals(parameter.hint)
    }
    assert plain == {"agents.run_command(shell)", "bulk.run_command(shell)"}  # or a path


@pytest.mark.parametrize("status", ["online", "asleep"])
def test_what_a_server_says_is_taken_as_it_is(status: str) -> None:
    agent = decoder(sdk.Agent)(f'{{"agent_id": "a", "status": "{status}", "plat": "plan9"}}'.encode())
    assert (agent.status, agent.plat) == (status, "plan9")
    noted = typing.get_type_hints(sdk.Alert, include_extras=True)["severity"]
    assert noted == Annotated[str, sdk.Severity]


async def test_what_is_asked_for_is_one_of_them() -> None:
    with pytest.raises(
        InvalidRequestError, match=r"severity must be one of .*; not 'warn' \(did you mean 'warning'\?\)"
    ):
        arguments.choice("warn", "severity", typing.get_args(sdk.Severity))
    wrong: Any = {"plat": "window"}
    async with sdk.TRMM("https://api.example.com", api_key="k") as trmm:
        with pytest.raises(InvalidRequestError, match=r"plat must be one of .*did you mean 'windows'\?"):
            trmm.agents.select(**wrong)
        trmm.agents.select(**{**wrong, "plat": "Windows"})
        wrong = {"status": ["offline", "onlin"]}
        with pytest.raises(InvalidRequestError, match=r"status must be one of .*did you mean 'online'"):
            trmm.agents.select(**wrong)
