"""Completes names of hosts, clients, sites and scripts in the shell, from a cache of an hour.

Each server and profile has a file of names, without the key, which only its owner can read. Tab reads the
file. If it is older than an hour, another process reads the names again, and Tab waits for it for less than a
second. Errors are never printed: they would end up in the line that is being typed.

Below: `files`, `text`. Above: `options`, whose arguments are completed by it.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import typer

from trmm_async.cli.files import output_file
from trmm_async.cli.text import clean, one_line
from trmm_async.effective_settings import GlobalOptions, Settings, client_settings, find_key, resolve
from trmm_async.plaintext import comparable
from trmm_async.profiles import cache_folder, read_profile_file

__all__ = ["offer_agents", "offer_clients", "offer_scripts", "offer_sites", "refresh"]

_FRESH: Final = 3600.0
_AGAIN: Final = 60.0
"""Seconds until the next attempt, after a server has not answered."""

_PATIENCE: Final = 0.8
_LONGEST: Final = 30.0
"""Seconds that the other process may take. During that time no second one is started."""

_FIT: Final = re.compile(r"[\w.@+,()& -]+")
"""Names that are offered. None of these characters is special for a shell inside quotes."""

_PLAIN: Final = re.compile(r"[\w.@+,-]+")
_OF_ALL: Final = ("url", "profile", "dialect", "rate_limit", "allow_http", "proxy", "ca", "cert")
_Offer = Callable[[typer.Context, str], list[str]]


class _Offered(str):
    """A name, quoted for the shell. Typer compares it with what is typed, which was done before quoting."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        """Always true."""
        return True


def _offering(what: str) -> _Offer:
    def offer(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            given = _given(ctx)
            found = _known(given).get(what, ())
        except Exception:  # noqa: BLE001 - an error would end up in the line that is being typed
            return []
        begun = comparable(incomplete)
        return [_Offered(_quoted(name)) for name in found if comparable(name).startswith(begun)]

    return offer


offer_agents: _Offer = _offering("agents")
offer_clients: _Offer = _offering("clients")
offer_scripts: _Offer = _offering("scripts")
offer_sites: _Offer = _offering("sites")


def _given(ctx: typer.Context) -> GlobalOptions:
    """The options for all commands, if they stand before the command."""
    typed = {name: value for name, value in ctx.find_root().params.items() if name in _OF_ALL}
    return GlobalOptions(**{**typed, "allow_http": typed.get("allow_http") or None}, as_others_do=True)


def _known(given: GlobalOptions) -> dict[str, list[str]]:
    settings = resolve(given, read_profile_file())
    path = _path(settings)
    names, age = _read(path)
    if age < _FRESH:
        return names
    if _begin(path, given):
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.02)
            newer, age = _read(path)
            if age < _FRESH:
                return newer
    return names


def _path(settings: Settings) -> Path:
    profile = settings.profile.name if settings.profile else ""
    name = sha256(json.dumps([settings.url, profile]).encode()).hexdigest()[:32]
    return cache_folder() / f"names-{name}.json"


def _read(path: Path) -> tuple[dict[str, list[str]], float]:
    """The names, and their age in seconds. Without a file there are none, and they are too old."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        age = time.time() - float(told["at"])
        return dict(told["names"]), age if age >= 0 else _FRESH
    except (OSError, ValueError, TypeError, KeyError):
        return {}, _FRESH


def _begin(path: Path, given: GlobalOptions) -> bool:
    """Start a process that reads the names, unless one is running. Its settings go through a pipe.

    On a command line they would be in the list of processes.
    """
    busy = path.with_suffix(".busy")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        if time.time() - busy.stat().st_mtime > _LONGEST:
            busy.unlink()
    try:
        os.close(os.open(busy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return True
    settings: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {"creationflags": 0x8}
    process = subprocess.Popen(
        [sys.executable, "-c", "from trmm_async.cli.known_names import refresh; refresh()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **settings,
    )
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(json.dumps(dataclasses.asdict(given)).encode())
    process.returncode = 0  # nobody waits for it, and Popen must not warn about that
    return True


def refresh() -> None:
    """The work of the other process: read the names of the server that stdin names, and write the file."""
    given = GlobalOptions(**json.load(sys.stdin))
    book = read_profile_file()
    settings = resolve(given, book)
    path = _path(settings)
    try:
        key = find_key(settings, book)
        names = asyncio.run(_ask(settings, key.value)) if key is not None else {}
        before, _ = _read(path)
        late = 0.0 if names else _FRESH - _AGAIN
        text = json.dumps({"at": time.time() - late, "names": {**before, **names}}, ensure_ascii=False)
        with output_file(path, private=True) as aside:
            aside.write_text(text, encoding="utf-8")
    finally:
        path.with_suffix(".busy").unlink(missing_ok=True)


async def _ask(settings: Settings, key: str) -> dict[str, list[str]]:
    """Read the names. There are none of what the key may not list, or the server doesn't send in time."""
    import trmm_async as sdk

    found: dict[str, list[str]] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST):
            async with sdk.TRMM(settings.url, api_key=key, retries=0, **client_settings(settings)) as trmm:
                with contextlib.suppress(sdk.TRMMError):
                    clients = await trmm.clients.list()
                    found["clients"] = _fitting(one.name for one in clients)
                    found["sites"] = _fitting(site.name for one in clients for site in one.sites)
                with contextlib.suppress(sdk.TRMMError):
                    found["scripts"] = _fitting(one.name for one in await trmm.scripts.list())
                with contextlib.suppress(sdk.TRMMError):
                    found["agents"] = _fitting(one.hostname for one in await trmm.agents.list())
    return found


def _fitting(names: Iterable[str]) -> list[str]:
    return sorted(set(_harmless(names)), key=str.casefold)


def _harmless(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if _FIT.fullmatch(name) and name[0] not in "- " and name == one_line(clean(name)):
            yield name


def _quoted(name: str) -> str:
    """The name, quoted so that this shell takes it for one word. zsh and fish do that themselves."""
    if _PLAIN.fullmatch(name):
        return name
    asked = os.environ.get("_TRMM_COMPLETE", "")
    if asked.endswith("bash") and not _in_quotes(os.environ.get("COMP_WORDS", "")):
        return re.sub(r"([^\w.@+,-])", r"\\\1", name)
    return f"'{name}'" if asked.endswith(("powershell", "pwsh")) else name


def _in_quotes(line: str) -> bool:
    try:
        shlex.split(line)
    except ValueError:
        return True
    return False
