"""The pytest plugin: the fixtures `trmm_simulator` and `trmm` and the marker that configures them.

Below: `fixtures.py`, with the fixtures themselves. Above: pytest, which loads this module in every run of
everybody who has the package installed, whether they use it or not. So it imports nothing but pytest, and
asks for pytest-asyncio only once pytest has loaded its plugins.
"""

from __future__ import annotations

from importlib import import_module

import pytest

__all__ = ["pytest_configure"]

MARKER = (
    "trmm(**settings): settings of the simulator behind the fixtures trmm_simulator and trmm, "
    "as trmm_async.testing.Simulator takes them, such as agents=50 or rate_limit=None"
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the fixtures."""
    config.addinivalue_line("markers", MARKER)
    # Loaded with -p it goes by another name than through its entry point.
    loaded = {getattr(plugin, "__name__", "") for plugin in config.pluginmanager.get_plugins()}
    if "pytest_asyncio.plugin" in loaded:
        fixtures: object = import_module(".fixtures", __package__)
    else:
        fixtures = WithoutAsyncio()
    config.pluginmanager.register(fixtures, "trmm_async_fixtures")


class WithoutAsyncio:
    """The same fixtures for a pytest without pytest-asyncio: they say what is missing."""

    @pytest.fixture
    def trmm_simulator(self) -> None:
        """Fail: this fixture needs pytest-asyncio."""
        _fail("trmm_simulator")

    @pytest.fixture
    def trmm(self) -> None:
        """Fail: this fixture needs pytest-asyncio."""
        _fail("trmm")


def _fail(name: str) -> None:
    pytest.fail(f"the fixture {name!r} needs pytest-asyncio: pip install pytest-asyncio", pytrace=False)
