"""Hints to workers through RQ."""

from taskflow_rq.queue import RqQueue

__all__ = ["RqQueue"]
