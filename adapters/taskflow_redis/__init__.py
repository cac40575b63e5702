"""Redis or Valkey. TaskFlow works with it and never depends on it for truth: it may be wiped or away."""

from taskflow_redis.batching import Batches
from taskflow_redis.client import close_client, open_client, ping
from taskflow_redis.inspection import RedisReport, inspect
from taskflow_redis.rate_limits import RedisRateLimits

__all__ = ["Batches", "RedisRateLimits", "RedisReport", "close_client", "inspect", "open_client", "ping"]
