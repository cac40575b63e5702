"""Kills everything again and again under load, and then accounts for all that was promised."""
