"""Alembic migrations, shipped in the wheel: expand first, contract in a later release."""
