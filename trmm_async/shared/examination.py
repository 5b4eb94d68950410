"""Checks whether a Redis server can keep a limit: at each connection, and in `trmm doctor`."""

import time
from dataclasses import dataclass

from trmm_async.engines.address import redis_address
from trmm_async.engines.redis_link import RedisAwayError, RedisLink, RedisRefusedError
from trmm_async.shared.window import PROBE

__all__ = ["Examination", "examine", "examined"]

_OLDEST = 5
"""Before version 5, a script that has called TIME may not write."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out about a Redis server.

    Attributes:
        version: the server's name and version.
        policy: what it does when its memory is full (`maxmemory-policy`); empty if it does not say.
        ahead: seconds that its clock is ahead of this machine's.
        is_replica: whether it accepts no writes at present. A failover may change that.
        problem: why it can't be used, and what to do; empty if it can.
    """

    version: str
    policy: str
    ahead: float
    is_replica: bool
    problem: str


async def examine(link: RedisLink) -> Examination:
    """Examine the server.

    Raises:
        RedisAwayError: the server can't be reached.
        RedisRefusedError: the server refuses the login or a command.
    """
    facts = await link.facts()
    begun = time.time()
    seconds, micros = await link.command("TIME")
    ahead = int(seconds) + int(micros) / 1e6 - (begun + time.time()) / 2
    problem = _problem(facts)
    if not problem:
        try:
            if not await link.run(PROBE, (), ()):
                problem = "its INFO names no run_id, so a restart could not be noticed"
        except RedisRefusedError as error:
            problem = (
                f"scripts may not ask for TIME and INFO there ({error}), and a limit can't be kept without"
            )
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version") or "of an unknown version"
    is_replica = facts.get("role") in {"slave", "replica"}
    return Examination(f"{name} {version}", facts.get("maxmemory_policy", ""), ahead, is_replica, problem)


def _problem(facts: dict[str, str]) -> str:
    version, policy = facts.get("redis_version", ""), facts.get("maxmemory_policy", "")
    mode = facts.get("redis_mode") or facts.get("server_mode", "")
    if mode == "sentinel":
        return "it is a Sentinel, not a Redis server: give the URL of the primary itself"
    if facts.get("cluster_enabled") == "1" or mode == "cluster":
        return "it is a Redis Cluster, which is not supported: give the URL of a server that stands alone"
    if version.split(".")[0].isdecimal() and int(version.split(".")[0]) < _OLDEST:
        return f"Redis {version} is too old: version {_OLDEST} or later is needed"
    if policy and policy != "noeviction":
        return (
            f"its maxmemory-policy is {policy}: it may forget what was sent when its memory is full. Set it: "
            "CONFIG SET maxmemory-policy noeviction, and in its configuration"
        )
    return ""


async def examined(url: str) -> tuple[Examination | None, str]:
    """Examine the server at this URL; None and the reason, if that is not possible.

    Raises:
        InvalidRequestError: the URL is invalid.
    """
    link = RedisLink(redis_address(url, "shared_limits"))
    try:
        return await examine(link), ""
    except (RedisAwayError, RedisRefusedError) as error:
        return None, str(error)
    finally:
        await link.aclose()
