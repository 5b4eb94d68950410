"""How far an attempt got, and who has to know."""

import aiohttp

from tests.peer import client, stalling


async def test_with_a_connector_of_ones_own_what_may_have_been_sent_counts_as_sent() -> None:
    async with (
        stalling() as server,
        aiohttp.ClientSession() as session,
        client(server.url, session=session) as trmm,
    ):
        async with trmm.fleet.run_script(["a", "b", "c"], script=1, width=2) as run:
            await server.received(2)
        assert (run.counts.unknown, run.counts.skipped) == (2, 1)
