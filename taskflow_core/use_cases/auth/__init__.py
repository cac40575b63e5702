"""Use cases on signing in."""
