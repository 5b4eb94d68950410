"""Bad arguments of every typed method: refused as ours, before anything is sent."""

import inspect
import typing
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tests.methods import methods
from tests.servers import served
from trmm_async import TRMM, CommandAction, InvalidRequestError, Manual, WebhookReceiver

GOOD: dict[str, Any] = {
    "agents": ["abc"],
    "actions": [CommandAction(command="dir")],
    "expires": datetime.now(UTC) + timedelta(days=1),
    "permissions": ["can_list_agents"],
    "clients": "all",
    "path": "HKEY_LOCAL_MACHINE\\SOFTWARE",
}
"""Good values of what has no default; whatever is not here is taken from the type."""
MORE: dict[str, dict[str, Any]] = {
    "agents.software.uninstall": {"command": "uninstall.exe"},
    "tasks.create": {"schedule": "0 3 * * *"},
    "tasks.set_up": {"schedule": Manual(), "agent": "abc"},
}
"""What a method needs besides, so that nothing else is wrong."""


def _typed(trmm: TRMM) -> Iterator[tuple[str, Any]]:
    for name in sorted(methods()):
        method: Any = trmm
        for part in name.removeprefix("trmm.").split("."):
            method = getattr(method, part)
        if inspect.iscoroutinefunction(method) and name != "trmm.aclose":
            yield name, method


def _keywords(method: Any) -> dict[str, Any]:
    """What it takes, by name the type; what stands behind `**` by its own names."""
    found: dict[str, Any] = {}
    for name, of in inspect.signature(method).parameters.items():
        if of.kind is of.VAR_KEYWORD:
            (options,) = typing.get_args(of.annotation) or (None,)
            found |= typing.get_type_hints(options) if options else {}
        else:
            found[name] = of.annotation
    return found


def _needed(name: str, method: Any) -> dict[str, Any]:
    parameters = inspect.signature(method).parameters.values()
    required = [of for of in parameters if of.default is of.empty and of.kind is not of.VAR_KEYWORD]
    return {of.name: GOOD.get(of.name, _good(of.annotation)) for of in required} | MORE.get(name, {})


def _good(kind: Any) -> Any:
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    kinds = typing.get_args(kind) or (kind,)
    return 1 if int in kinds else "abc" if str in kinds else True if bool in kinds else None


async def _refused(name: str, method: Any, keyword: str, odd: object) -> str:
    try:
        await method(**{**_needed(name, method), keyword: odd})
    except InvalidRequestError as error:
        return str(error)
    raise AssertionError(f"{name}({keyword}={odd!r}) is taken")


def _odd(kind: Any) -> Iterator[object]:
    """What is no value of a type."""
    kinds = set(typing.get_args(kind)) or {kind}
    if kind is not Any:
        yield object()
    if kinds - {type(None)} == {bool}:
        yield from ("no", 1, None)[: 2 if type(None) in kinds else 3]


async def test_what_is_no_value_of_a_keywords_type_is_refused_and_nothing_counts_as_true() -> None:
    async with served("stock", agents=1) as (server, trmm):
        seen = 0
        for name, method in _typed(trmm):
            for keyword, kind in _keywords(method).items():
                for odd in _odd(kind):
                    said = await _refused(name, method, keyword, odd)
                    if type(odd) is not object:
                        assert f"{keyword} must be True or False" in said, (name, said)
                    seen += 1
        assert seen > 800
        assert server.requests == []


async def test_a_webhook_is_not_assigned_to_everybody_by_what_counts_as_true() -> None:
    async with served("stock", agents=1) as (server, trmm):
        receiver = WebhookReceiver("s3cr3t")
        wrong: Any
        for wrong in ("no", 1, None):
            for keywords in ({"everywhere": wrong}, {"dry_run": wrong}):
                with pytest.raises(InvalidRequestError, match="True or False"):
                    await receiver.install(trmm, "https://hooks.example.com/trmm", **keywords)
            with pytest.raises(InvalidRequestError, match="True or False"):
                await receiver.uninstall(trmm, dry_run=wrong)
        assert server.requests == []


def _mistaken(trmm: TRMM) -> Iterator[tuple[str, Awaitable[Any]]]:
    """What has the right type, and is wrong all the same, by what the refusal says."""
    wrong: Any
    for wrong in (None, "abc", 5, []):
        yield "agents must", trmm.agents.upgrade(wrong)
    wrong = {1: 2}
    yield "keywords must be texts", trmm.agents.update("abc", patch_policy=wrong)
    yield "valid_for", trmm.installers.create(site=1, valid_for=timedelta.max)
    for wrong in ({"-Name": "x"}, "-Name"):
        yield "args must be a sequence", trmm.agents.run_script("abc", 1, args=wrong)
        yield "action_args must be", trmm.alert_templates.create(name="T", action_args=wrong)
        yield "text_recipients must be", trmm.alert_templates.create(name="T", text_recipients=wrong)
    for wrong in ("", 0, False, []):
        yield "env_vars must be a mapping", trmm.agents.run_script("abc", 1, env_vars=wrong)
    yield "name must not contain |", trmm.clients.create(name="a|b")
    yield "site must not contain |", trmm.clients.create(name="a", site="a|b")
    yield "name must have 255", trmm.clients.create(name="a" * 256)
    for wrong in ("Europe/Berlim", "europe/berlin", "Europe", "../etc/passwd", "+02:00"):
        yield "time_zone: there is no time zone", trmm.agents.update("abc", time_zone=wrong)
        yield "default_time_zone: there is no", trmm.core.update_settings(default_time_zone=wrong)
    for wrong in (True, -1):
        yield "excluded_agents", trmm.policies.create(name="p", excluded_agents=[wrong])
    yield "page must be", trmm.agents.registry.browse("abc", "HKLM\\SOFTWARE", page=True)
    yield "site must not contain |", trmm.clients.create(name="a", site="a|b", block_policy_inheritance=True)
    yield "name must not contain |", trmm.clients.update(1, name="a|b")
    yield "name must not contain |", trmm.sites.create(client=1, name="a|b")
    yield "name must have 255", trmm.sites.update(1, name="a" * 256)
    yield "progress must be a function", trmm.deployments.download(1, ".", progress=cast("Any", 5))


async def test_what_only_looks_right_is_refused_by_the_name_of_the_argument() -> None:
    async with served("stock", agents=1) as (server, trmm):
        for said, asking in _mistaken(trmm):
            with pytest.raises(InvalidRequestError) as refused:
                await asking
            assert said in str(refused.value)
        assert server.requests == []
