"""The window that a Redis server keeps for several processes: one script, its request and its reply.

Pure, but for the script's text. The slots that are held are in a sorted set, by the time (of the server's own
clock) at which they are free. `meta` shows whether the set is whole. A request's slot ends

- a window's length after the request was surely counted, once that is reported (`settled`);
- at once, if no byte of the request was sent (`back`);
- by itself when its lease, the grace and the window are over, if nothing is reported: its process has died,
  or stands still, and must not begin to send with the slot (the fence of `queue`).

With a window of 0 seconds the same script is a semaphore of leases: that is `max_waiting`.

**Lost state closes the window** for as long as anything that was granted before could count. State is lost by

- a flushed or restarted server, or a failover: another run id, or no `meta`;
- an evicted or deleted set: its sentinel, which never ends, is gone. Without the sentinel, the loss of the
  set alone granted a whole window again;
- a clock that was set back by more than a second. After a smaller step the last time seen is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trmm_async.engines.redis_link import LuaScript

__all__ = ["PROBE", "WINDOW", "Window", "WindowReply", "WindowRequest", "read_reply", "script_arguments"]

_DRIFT: Final = 1.0005
"""Clocks differ by some parts in a million, and one that is being corrected slowly by 500 of them."""

PROBE: Final = LuaScript("""
redis.call('TIME')
return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
""")
"""Whether a script may ask for the time and for the server's run id: some services refuse that."""

WINDOW: Final = LuaScript("""
local held, meta = KEYS[1], KEYS[2]
local at = 0
local function take() at = at + 1; return ARGV[at] end
local function number() return tonumber(take()) end

local count, per, lease, grace, pause = number(), number(), number(), number(), number()
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''

local m = redis.call('HMGET', meta, 'run', 'last', 'closed', 'count', 'per', 'until', 'hold')
local last, closed = tonumber(m[2] or 0), tonumber(m[3] or 0)
local was_count, was_per, was_until = tonumber(m[4] or count), tonumber(m[5] or per), tonumber(m[6] or 0)
local hold = per + lease + grace
local is_back = now < last - 1000
local lost = 0
if not m[1] then lost = 1
elseif m[1] ~= run then lost = 2
elseif not redis.call('ZSCORE', held, '!') then lost = 3
elseif is_back then lost = 4 end
if lost > 0 then
  -- What others were granted may have been longer than what we ask for.
  hold = math.max(hold, tonumber(m[7] or 0))
  if is_back then
    redis.call('DEL', held)
    closed, was_until = now + hold, 0
  end
  closed = math.max(closed, now + hold)
  redis.call('ZADD', held, '+inf', '!')
elseif now < last then
  now = last
end

-- The smaller limit holds, for as long as somebody who has it asks.
local mine_count, mine_per = count, per
if now < was_until then
  count, per = math.min(count, was_count), math.max(per, was_per)
end
hold = per + lease + grace
if now < was_until then hold = math.max(hold, tonumber(m[7] or 0)) end
if count == mine_count and per == mine_per then
  was_until = now + math.max(hold, 60000)
end

local function ends(member, free)
  local score = redis.call('ZSCORE', held, member)
  if free <= now then
    if score then redis.call('ZREM', held, member) end
  elseif not score or tonumber(score) > free then
    redis.call('ZADD', held, string.format('%.1f', free), member)
  end
end

for i = 1, number() do
  local member, age = take(), number()
  ends(member, math.ceil(now + 1 - age + per))
end
for i = 1, number() do redis.call('ZREM', held, take()) end
-- A time with a half at its end is one of a lease.
local until_lease = string.format('%.1f', math.ceil(now + lease + grace + per) + 0.5)
local renewed = {}
for i = 1, number() do
  local member, has_begun = take(), take()
  if has_begun == '1' or redis.call('ZSCORE', held, member) then
    redis.call('ZADD', held, until_lease, member)
    renewed[i] = 1
  else
    renewed[i] = 0
  end
end

if pause > 0 then closed = math.max(closed, now + pause) end
local granted, wait, wanted = 0, 0, #ARGV - at
if now < closed then
  wait = closed - now
else
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  local free = count - (redis.call('ZCARD', held) - 1)
  while granted < wanted do
    local member = ARGV[at + granted + 1]
    if not redis.call('ZSCORE', held, member) then
      if free <= 0 then break end
      free = free - 1
      redis.call('ZADD', held, until_lease, member)
    end
    granted = granted + 1
  end
  if granted < wanted then
    -- The first that can be free: of a lease, if it is answered at once, a window after it was given.
    local first = now + lease + grace + per
    local row = redis.call('ZRANGE', held, 0, 199, 'WITHSCORES')
    for i = 2, #row, 2 do
      local score = tonumber(row[i])
      -- It isn't answered yet, or was just now, which is told within an eighth of the window.
      if score % 1 ~= 0 then score = math.max(score - 0.5 - lease - grace, now + per * 0.8) end
      if score < first then first = score end
    end
    wait = math.max(first - now, 0)
  end
end
redis.call('HSET', meta, 'run', run, 'last', now, 'closed', string.format('%.0f', closed),
  'count', count, 'per', per, 'until', string.format('%.0f', was_until),
  'hold', string.format('%.0f', hold))
return {granted, now, math.ceil(wait), count, math.floor(per + 0.5), lost, renewed}
""")


@dataclass(frozen=True, slots=True)
class Window:
    """A client's limit: at most so many requests in so many seconds.

    Attributes:
        count: the number of requests.
        per: the length of the window, in seconds; 0.0 for a semaphore.
        lease: seconds for which a slot is valid of which nothing is reported.
        grace: seconds in which a request whose bytes were written has surely been counted.
    """

    count: int
    per: float
    lease: float
    grace: float

    @property
    def hold(self) -> float:
        """Seconds for which a slot may count of which nothing is reported."""
        return self.per + self.lease + self.grace


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """The request to the script.

    Attributes:
        settled: slots whose request was counted, with the seconds since then; negative if that is to come.
        back: slots of requests of which no byte was sent.
        renewed: slots to hold for another lease, and whether their request has begun.
        wanted: names for new slots.
        pause: seconds for which no process may send.
    """

    settled: Sequence[tuple[str, float]] = ()
    back: Sequence[str] = ()
    renewed: Sequence[tuple[str, bool]] = ()
    wanted: Sequence[str] = ()
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class WindowReply:
    """The script's answer.

    Attributes:
        granted: how many of the wanted slots were granted, counted from the first.
        now: the time of the Redis server, in seconds.
        wait: seconds until more slots can be free; 0 if all were granted.
        count: the limit that is in force, which another client may have set.
        per: the length of its window, in seconds.
        lost: why the window was closed: 1 there was no state, 2 the server is another one, 3 a set was
            evicted or deleted, 4 the clock was set back; 0 if the window was not closed.
        renewed: for each slot that was to be renewed, whether it is still held.
    """

    granted: int
    now: float
    wait: float
    count: int
    per: float
    lost: int
    renewed: Sequence[bool] = field(default=())


def script_arguments(window: Window, request: WindowRequest) -> list[str | int]:
    """The request as the script's arguments."""
    given: list[str | int] = [
        window.count,
        *(_ms(seconds) for seconds in (window.per * _DRIFT, window.lease, window.grace, request.pause)),
        len(request.settled),
    ]
    for name, age in request.settled:
        # Rounded towards later.
        given += name, int(age * 1000 // 1)
    given += len(request.back), *request.back
    given.append(len(request.renewed))
    for name, has_begun in request.renewed:
        given += name, int(has_begun)
    given += request.wanted
    return given


def read_reply(answer: Sequence[Any]) -> WindowReply:
    """Decode the answer of the script, which counts in milliseconds."""
    granted, now, wait, count, per, lost, renewed = answer
    return WindowReply(
        granted, now / 1000, wait / 1000, count, per / 1000, lost, tuple(one == 1 for one in renewed)
    )


def _ms(seconds: float) -> int:
    """Whole milliseconds, rounded up."""
    return -int(-seconds * 1000 // 1)
