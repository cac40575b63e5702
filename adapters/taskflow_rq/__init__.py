"""Hints to workers through RQ."""
