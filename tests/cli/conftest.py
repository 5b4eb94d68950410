"""A simulator for a whole file, a command line that has no settings but what a test gives it."""

import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import keyring
import pytest

from tests.cli.logins import Drawer
from tests.cli.stage import Backstage, Said
from trmm_async.cli import main

Cli = Callable[..., Said]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings from outside; the path of the file of profiles, which isn't there yet."""
    for name in ("URL", "API_KEY", "PROFILE", "DIALECT", "SHARED_LIMITS", "PROXY", "CA", "CERT"):
        monkeypatch.delenv(f"TRMM_{name}", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config" / "config.toml"
    monkeypatch.setenv("TRMM_CONFIG", str(path))
    return path


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process, with a stdin that is no terminal."""

    def run(*words: str, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", StringIO(typed))
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def gateway_stage() -> Iterator[Backstage]:
    with Backstage(agents=20, rate_limit=None, script_seconds=0.01, offline_hold=0.1) as stage:
        yield stage


@pytest.fixture(scope="module")
def stock_stage() -> Iterator[Backstage]:
    with Backstage(agents=20, dialect="stock", script_seconds=0.01, offline_hold=0.1) as stage:
        yield stage


def _used(stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> Backstage:
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)
    return stage


@pytest.fixture
def gateway(gateway_stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backstage]:
    yield _used(gateway_stage, monkeypatch)
    gateway_stage.do(lambda server: server.clear_faults())


@pytest.fixture
def stock(stock_stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backstage]:
    yield _used(stock_stage, monkeypatch)
    stock_stage.do(lambda server: server.clear_faults())


@pytest.fixture(params=["gateway", "stock"])
def either(request: pytest.FixtureRequest) -> Backstage:
    """A gateway, then a stock server."""
    stage: Backstage = request.getfixturevalue(request.param)
    return stage


@pytest.fixture
def stage(either: Backstage, monkeypatch: pytest.MonkeyPatch) -> Backstage:
    """Either, to which nothing in the environment leads."""
    monkeypatch.delenv("TRMM_URL")
    monkeypatch.delenv("TRMM_API_KEY")
    return either


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    """A keyring in memory, in the place of the system's."""
    before = keyring.get_keyring()
    drawer = Drawer()
    keyring.set_keyring(drawer)
    yield drawer
    keyring.set_keyring(before)
