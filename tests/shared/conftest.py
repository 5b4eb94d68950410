"""What the tests of shared limits have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_servers import Engine, redis_server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    """A Redis server of the test's own."""
    with redis_server(tmp_path) as engine:
        yield engine
