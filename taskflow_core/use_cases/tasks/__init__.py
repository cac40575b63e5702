"""Use cases on tasks."""
