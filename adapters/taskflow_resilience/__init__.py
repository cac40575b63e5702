"""What stands around other adapters, so that one that is slow or away takes nothing else down."""

from taskflow_resilience.breaker import CircuitBreaker, State
from taskflow_resilience.process_limits import ProcessRateLimits
from taskflow_resilience.rate_limits import FallbackRateLimits

__all__ = ["CircuitBreaker", "FallbackRateLimits", "ProcessRateLimits", "State"]
