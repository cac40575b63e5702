"""Handlers, and beside them their entries in the table of routes."""
