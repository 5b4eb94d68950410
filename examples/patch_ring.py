"""Install the approved Windows updates ring by ring: two canaries, then a tenth, then everybody.

python examples/patch_ring.py patches/2026-11 3600     # a folder for this round, seconds between two rings

Stop it, or let it crash, at any time, and start it again with the same folder: it goes on where it was. The
rings are written down before anything is sent, and each has a journal, so that no machine is told twice. The
next ring begins only if the server has taken the one before for each of its machines, and they all are online
when the time is over. A stock server.
"""

import asyncio
import json
import sys
from pathlib import Path

from trmm_async import TRMM, Done, TRMMError

CANARIES = 2
SHARE = 0.1
BACK_WITHIN = 1800.0


async def main(folder: Path, pause: float) -> int:
    """0 when the last ring is done, 1 where a ring has stopped it."""
    async with TRMM.from_env() as trmm:
        for name, agent_ids in (await the_rings(trmm, folder)).items():
            if not await install(trmm, name, agent_ids, folder / f"{name}.db"):
                return 1
            if (folder / f"{name}.done").exists():
                continue
            print(f"{name}: waiting {pause:.0f} s", flush=True)
            await asyncio.sleep(pause)
            try:
                await trmm.agents.wait_until(agent_ids, "online", timeout=BACK_WITHIN)
            except TRMMError as error:
                print(f"{name}: not all of them are back: {error}")
                return 1
            (folder / f"{name}.done").touch()
    print("all rings are done")
    return 0


async def the_rings(trmm: TRMM, folder: Path) -> dict[str, list[str]]:
    """As they were written down; the first time they are made of all Windows machines that are online."""
    plan = folder / "rings.json"
    if plan.exists():
        kept: dict[str, list[str]] = json.loads(plan.read_text())
        return kept
    agents = await trmm.agents.select(plat="windows", status="online").list()
    ids = sorted(agent.agent_id for agent in agents)
    tenth = CANARIES + max(1, round(SHARE * len(ids)))
    rings = {"canary": ids[:CANARIES], "ring-1": ids[CANARIES:tenth], "ring-2": ids[tenth:]}
    folder.mkdir(parents=True, exist_ok=True)
    aside = plan.with_suffix(".new")  # a crash must not leave half of it
    aside.write_text(json.dumps(rings, indent=2))
    aside.replace(plan)
    return rings


async def install(trmm: TRMM, name: str, agent_ids: list[str], journal: Path) -> bool:
    """Whether the server has taken it for all of them."""
    if not agent_ids:
        return True
    if journal.exists():
        outcomes = await trmm.fleet.resume(journal)
    else:
        outcomes = await trmm.fleet.install_patches(agent_ids, journal=journal)
    bad = [outcome for outcome in outcomes if not isinstance(outcome, Done)]
    print(f"{name}: {len(outcomes) - len(bad)} of {len(outcomes)} machines install", flush=True)
    for outcome in bad:
        print(f"  {outcome.agent_id}: {type(outcome).__name__}: {outcome}")
    return not bad


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]))))
