"""Tells people: in the log, or by mail."""
