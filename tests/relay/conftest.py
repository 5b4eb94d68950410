"""An engine of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_servers import nats_server, redis_server
from tests.relay.buses import Bus


@pytest.fixture(params=["redis", "nats"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    if request.param == "nats":
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
        with nats_server(tmp_path) as engine:
            yield Bus("nats", engine)
    else:
        with redis_server(tmp_path, "--stream-node-max-entries", "5") as engine:
            yield Bus("redis", engine)
