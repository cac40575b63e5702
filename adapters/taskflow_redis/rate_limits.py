"""Rate limits that all processes share: GCRA in one call, by the clock of Redis."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from taskflow_core.rate_limits import Decision, Limit
from taskflow_redis.batching import Batches, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY: Final = "taskflow:rate:{limit}:{subject}"
_SUBJECT_BYTES: Final = 16

# `taskflow_core.rate_limits.gcra` in whole numbers: doubles cannot add tenths of seconds to a time of day
# without losing some. What is kept is how far the arrival time was ahead, and when; ahead is in microseconds
# times the rate's count, so that the time between two requests, `seconds` x 10^6, is whole as well.
# Another count than the one kept is a setting that was changed.
_TAKE: Final = Script("""
local count, seconds, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = seconds * 1000000
local burst = interval * count

local ahead = 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local at, was, by = string.match(kept, '^(%d+) (%d+) (%d+)$')
  if at then
    ahead = was
    if tonumber(by) ~= count then ahead = math.ceil(was / by * count) end
    ahead = math.min(math.max(ahead - (now - at) * count, 0), burst)
  end
end

local charge = math.min(cost * interval, burst)
local excess = ahead + charge - burst
if excess <= 0 then
  ahead = ahead + charge
  redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', now, ahead, count),
    'PX', string.format('%.0f', math.ceil(ahead / count / 1000) + 1000))
end
return {string.format('%.0f', ahead), string.format('%.0f', excess)}
""")


class RedisRateLimits:
    """Counts in Redis (port `RateLimits`). Subjects are kept as hashes, and for as long as they matter.

    Args:
        redis: Shared with whatever else asks Redis in the same tick.
    """

    def __init__(self, redis: Batches) -> None:
        self._redis = redis

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:
        """Count a request, where it may pass."""
        digest = hashlib.blake2b(subject.encode(), digest_size=_SUBJECT_BYTES).hexdigest()
        key = KEY.format(limit=limit.name, subject=digest)
        rate = limit.rate
        answer = await self._redis.run(_TAKE, (key,), rate.count, rate.seconds, cost)
        return _decision(limit, answer)


def _decision(limit: Limit, answer: Sequence[bytes]) -> Decision:
    ahead, excess = map(int, answer)
    rate = limit.rate
    interval, scale = rate.seconds * 1_000_000, rate.count * 1_000_000
    return Decision(
        allowed=excess <= 0,
        limit=limit,
        remaining=rate.count - -(-ahead // interval),
        reset_after=ahead / scale,
        retry_after=max(excess, 0) / scale,
    )
