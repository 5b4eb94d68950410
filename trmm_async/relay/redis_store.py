"""A relay's log in a Redis server: a stream of events, and a hash with the agents' states.

It implements `store.Store`. One script writes both, so the hash and the stream's end belong together at every
moment, and one read of the hash gives the states and the place from which to continue.

The epoch is the fence, and the server enforces it: entries have the ids `<epoch>-<n>`, the script refuses a
writer of any other epoch, and the server itself refuses an id that is not above all ids before it.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final

from trmm_async.engines.address import EngineAddress
from trmm_async.engines.redis_link import LuaScript, RedisLink, RedisRefusedError
from trmm_async.relay.records import Record
from trmm_async.relay.store import BATCH, Changes, Entry, LogEnd, LogState, StaleError

__all__ = ["RedisStore"]

_STALE: Final = ("STALE", "ERR The ID specified in XADD is equal or smaller")
_SLACK: Final = 2.0

# KEYS of all scripts: the stream, the hash, the last epoch, the lease. A place is `<epoch>-<n>@<tag>`.

LEAD: Final = LuaScript("""
local stream, state, epoch, lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tag = ARGV[1]
local held = redis.call('GET', lease)
if held and held ~= tag then return 0 end
local last = redis.call('HGET', state, 'last') or ''
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
if newest and (last == '' or not redis.call('HGET', state, 'position')) then
  redis.call('DEL', stream, state)
  last = ''
elseif last ~= '' and not newest then
  last = ''
end
local mine = redis.call('INCR', epoch)
local before = newest and tonumber(string.match(newest[1], '^(%d+)-')) or 0
if mine <= before then
  mine = before + 1
  redis.call('SET', epoch, mine)
end
redis.call('SET', lease, tag, 'PX', ARGV[2])
redis.call('HSET', state, 'last', last, 'tag', tag)
return mine
""")

# Checks that the caller still leads and that the log was not lost, and renews the lease. `last` is then the
# place of the last entry.
_CHECK = """
local stream, state, epoch, lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local mine, tag = ARGV[1], ARGV[2]
if redis.call('GET', epoch) ~= mine or redis.call('HGET', state, 'tag') ~= tag then
  return redis.error_reply('STALE another relay leads, or the log was lost')
end
local last = redis.call('HGET', state, 'last') or ''
if last ~= '' and redis.call('EXISTS', stream) == 0 then
  return redis.error_reply('STALE the stream was lost')
end
local held = redis.call('GET', lease)
if held and held ~= tag then return redis.error_reply('STALE another relay holds the lease') end
redis.call('SET', lease, tag, 'PX', ARGV[3])
"""

RENEW: Final = LuaScript(_CHECK + "return 1")

RESIGN: Final = LuaScript("""
if redis.call('GET', KEYS[4]) == ARGV[1] then return redis.call('DEL', KEYS[4]) end
return 0
""")

APPEND: Final = LuaScript(
    _CHECK
    + """
local written = 0
if string.match(last, '@(.*)$') == tag then written = tonumber(string.match(last, '-(%d+)@')) end
local n = tonumber(ARGV[6])
if n > written + 1 then return redis.error_reply('STALE the end of the log was lost') end
local at = 8
for _ = 1, tonumber(ARGV[7]) do
  if n > written then
    local id = string.format('%s-%d', mine, n)
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[4], id, 't', tag, 'p', last,
      'k', ARGV[at], 'c', ARGV[at + 1], 'd', ARGV[at + 2])
    last = id .. '@' .. tag
  end
  n = n + 1
  at = at + 3
end
redis.call('HSET', state, 'last', last)
if ARGV[5] ~= '' then redis.call('HSET', state, 'position', ARGV[5]) end
for i = at, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', state, 'agent:' .. ARGV[i])
  else redis.call('HSET', state, 'agent:' .. ARGV[i], ARGV[i + 1]) end
end
return 1
"""
)


class RedisStore:
    """A relay's log in a Redis server, by one connection."""

    def __init__(self, address: EngineAddress, name: str) -> None:
        self._link = RedisLink(address)
        self._address = address
        self.name = name
        self._keys = [f"trmm:{{relay:{name}}}:{what}" for what in ("stream", "state", "epoch", "leader")]
        self._tag = ""
        self._epoch = 0
        self._lease = 0

    def __repr__(self) -> str:
        return f"<RedisStore {self.name!r} at {self.where}>"

    @property
    def where(self) -> str:
        return str(self._address)

    async def lead(self, lease: float) -> LogState | None:
        tag, self._lease = secrets.token_hex(8), int(lease * 1000)
        epoch = await self._link.run(LEAD, self._keys, (tag, self._lease))
        if not epoch:
            return None
        self._epoch, self._tag = epoch, tag
        return await self.state()

    async def renew(self) -> None:
        await self._write(RENEW, ())

    async def resign(self) -> None:
        await self._link.run(RESIGN, self._keys, (self._tag,))

    async def append(
        self, first: int, records: Sequence[Record], changes: Changes, position: str, length: int
    ) -> None:
        words: list[Any] = [length, position, first, len(records)]
        for record in records:
            client = "" if record.client is None else f"{record.client[0] or ''}:{record.client[1]}"
            words += record.kind, client, record.text
        for (agent_id, thing), text in changes.items():
            words += f"{agent_id}/{thing}", text
        await self._write(APPEND, words)

    async def _write(self, script: LuaScript, words: Sequence[Any]) -> None:
        stale = ""
        try:
            await self._link.run(script, self._keys, (self._epoch, self._tag, self._lease, *words))
        except RedisRefusedError as error:
            if not str(error).startswith(_STALE):
                raise
            stale = str(error).removeprefix("STALE ")
        if stale:
            raise StaleError(stale)

    async def state(self) -> LogState:
        flat = await self._link.command("HGETALL", self._keys[1])
        text = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
        agents: dict[str, dict[str, str]] = {}
        for name in [name for name in text if name.startswith("agent:")]:
            agent_id, _, thing = name.removeprefix("agent:").rpartition("/")
            agents.setdefault(agent_id, {})[thing] = text[name]
        return LogState(text.get("last", ""), text.get("position", ""), agents)

    async def end(self) -> LogEnd:
        last = await self._link.command("HGET", self._keys[1], "last")
        return LogEnd((last or b"").decode(), bool(await self._link.command("EXISTS", self._keys[3])))

    async def read(self, after: str, wait: float) -> list[Entry]:
        block = ("BLOCK", max(1, int(wait * 1000))) if wait else ()
        place = after.partition("@")[0] or "0-0"
        words = ("XREAD", "COUNT", BATCH, *block, "STREAMS", self._keys[0], place)
        # The server ends the wait by itself, so the connection's own deadline must be later.
        answer = await self._link.command(*words, within=wait + _SLACK)
        return [_entry(*row) for row in answer[0][1]] if answer else []

    async def aclose(self) -> None:
        await self._link.aclose()


def _entry(number: bytes, fields: Sequence[bytes]) -> Entry:
    names = dict(zip(fields[::2], (value.decode() for value in fields[1::2]), strict=True))
    client_id, found, client = names[b"c"].partition(":")
    of = (int(client_id) if client_id else None, client) if found else None
    return Entry(f"{number.decode()}@{names[b't']}", names[b"p"], Record(names[b"k"], of, names[b"d"]))
