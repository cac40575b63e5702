"""Workers and schedulers."""
