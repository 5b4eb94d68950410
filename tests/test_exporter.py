"""The metrics, scraped over HTTP as Prometheus does."""

import asyncio
import os
import re
import signal
import urllib.request
from collections import defaultdict

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.stage import Backstage, started
from tests.servers import DIALECTS, served, until
from trmm_async import InvalidRequestError
from trmm_async.exporter import FleetCollector, export

Metrics = dict[str, dict[tuple[str, ...], float]]


def read(url: str) -> Metrics:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    found: Metrics = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name][tuple(sample.labels.values())] = sample.value
    return found


async def scraped(url: str) -> Metrics:
    return await asyncio.to_thread(read, url)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_scrape_tells_how_the_fleet_stands(dialect: str) -> None:
    async with served(dialect, agents=12) as (server, trmm), trmm.mirror() as mirror:
        async with export(trmm, mirror, port=0) as url:
            metrics = await scraped(url)
            assert sum(metrics["trmm_agents"].values()) == 12
            assert {status for _, status in metrics["trmm_agents"]} == {"online"}
            assert metrics["trmm_alerts"] == {("error",): 0, ("info",): 0, ("warning",): 0}
            assert metrics["trmm_picture_fresh"][()] == 1
            server.go_offline(server.agent_ids[0])
            server.raise_alert(server.agent_ids[1], severity="error", message="x")
            who = server.agent_ids[0]
            await mirror.wait_until(
                lambda mirror: mirror[who].status == "offline" and mirror.alerts(server.agent_ids[1]),
                timeout=30,
            )
            sent = trmm.stats.sent
            metrics = await scraped(url)
            assert (
                sum(count for (_, status), count in metrics["trmm_agents"].items() if status == "offline")
                == 1
            )
            assert metrics["trmm_alerts"][("error",)] == 1
            assert metrics["trmm_client_requests_total"][()] >= sent > 0
            assert metrics["trmm_picture_age_seconds"][()] >= 0
            assert {
                "trmm_checks_failing",
                "trmm_agents_patches_pending",
                "trmm_client_waiting",
            } <= metrics.keys()
        with pytest.raises(OSError):  # noqa: PT011 - nobody listens any more
            await scraped(url)


async def test_a_client_may_have_any_name() -> None:
    name = 'a"b\\c{x="y"}\n\u2028\x1b[2J trmm_agents{client="z"} 9'
    async with served("stock", agents=2) as (_, trmm):
        for client in await trmm.clients.list():
            await trmm.request(
                "PUT", f"/clients/{client.id}/", json={"client": {"name": f"{client.id}{name}"}}
            )
        async with trmm.mirror() as mirror, export(trmm, mirror, port=0) as url:
            metrics = await scraped(url)
            assert sum(metrics["trmm_agents"].values()) == 2
            for client_name, _ in metrics["trmm_agents"]:
                assert client_name.lstrip("0123456789") == 'a"b\\c{x="y"} [2J trmm_agents{client="z"} 9'


async def test_a_server_that_is_gone_leaves_an_old_picture() -> None:
    async with served("stock", agents=2) as (server, trmm), trmm.mirror() as mirror:
        async with export(trmm, mirror, port=0) as url:
            before = await scraped(url)
            server.fail("GET", "/", status=500, times=None)
            await until(lambda: not mirror.fresh)
            now = await scraped(url)
            assert now["trmm_picture_fresh"][()] == 0
            assert now["trmm_picture_age_seconds"][()] > before["trmm_picture_age_seconds"][()]
            assert now["trmm_agents"] == before["trmm_agents"]


async def test_the_number_of_series_is_bounded() -> None:
    async with served("stock", agents=30) as (_, trmm), trmm.mirror() as mirror:
        clients = {agent.client.name for agent in mirror.values()}
        assert len(clients) > 2
        collected = {one.name: one for one in FleetCollector(trmm, mirror, max_clients=2).collect()}
        told = {sample.labels["client"] for sample in collected["trmm_agents"].samples}
        assert len(told) == 3
        assert "other" in told
        assert sum(sample.value for sample in collected["trmm_agents"].samples) == 30


async def test_what_can_not_be_served_is_told() -> None:
    async with served("stock", agents=1) as (_, trmm), trmm.mirror() as mirror:
        async with export(trmm, mirror, port=0) as url:
            port = int(url.split(":")[2].split("/")[0])
            with pytest.raises(InvalidRequestError, match="can't listen"):
                async with export(trmm, mirror, port=port):
                    pass
        with pytest.raises(InvalidRequestError, match="max_clients"):
            FleetCollector(trmm, mirror, max_clients=0)


async def test_the_command_serves_until_it_is_stopped() -> None:
    with Backstage(agents=3, dialect="stock") as stage:
        with started(["exporter", "--listen", "127.0.0.1:0"], stage.environment) as process:
            assert process.stderr is not None
            line = await asyncio.to_thread(process.stderr.readline)
            found = re.search(r"http://\S+/metrics", line)
            assert found, line
            assert sum((await scraped(found[0]))["trmm_agents"].values()) == 3
            os.kill(process.pid, signal.SIGTERM)
            await until(lambda: process.poll() is not None)
            assert process.returncode == 130
