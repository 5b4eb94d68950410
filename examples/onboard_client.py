"""Onboard a client: the client, its site, a policy for both, and what installs agents there.

python examples/onboard_client.py "Acme" "Berlin" "Acme: servers"      # a stock server

It may be run again, after a mistake or a crash: what is there already is taken as it is, and nothing is made
twice. The installer of each run is new, and good for a week.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from trmm_async import TRMM, Client, OutcomeUnknownError, Policy, Site, TRMMError


async def main(client_name: str, site_name: str, policy_name: str) -> None:
    """All of it, in an order that can begin again."""
    async with TRMM.from_env() as trmm:
        client = await the_client(trmm, client_name, site_name)
        site = await the_site(trmm, client, site_name)
        policy = await the_policy(trmm, policy_name)
        await trmm.policies.assign(policy, client=client, monitoring_type="server")
        print(f"policy {policy.id}: {policy.name}, for the servers of {client.name}")

        week = timedelta(days=7)
        deployment = await trmm.deployments.create(
            client=client, site=site, expires=datetime.now(UTC) + week, arch="amd64"
        )
        print(f"for Windows, a program: {deployment.download_url}")
        installer = await trmm.installers.create(site=site, method="manual", valid_for=week)
        print(f"or a command: {installer.command}")


async def the_client(trmm: TRMM, name: str, site: str) -> Client:
    """Look before it is made, and after a lost answer look once more: a client is never made twice."""
    found = await trmm.clients.find(name)
    if found is None:
        try:
            found = await trmm.clients.create(name=name, site=site)
        except OutcomeUnknownError:
            found = await trmm.clients.find(name)
            if found is None:
                raise
    print(f"client {found.id}: {found.name}")
    return found


async def the_site(trmm: TRMM, client: Client, name: str) -> Site:
    """The client's, which a new client has already."""
    found = await trmm.sites.find(name, client=client) or await trmm.sites.create(client=client, name=name)
    print(f"site {found.id}: {found.name}")
    return found


async def the_policy(trmm: TRMM, name: str) -> Policy:
    """By its name, of which there is one."""
    found = next((one for one in await trmm.policies.list() if one.name == name), None)
    return found or await trmm.policies.create(name=name, description="Made by onboard_client.py")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except TRMMError as error:
        sys.exit(f"{error}\nRun it again when that is mended: it goes on with what is there.")
