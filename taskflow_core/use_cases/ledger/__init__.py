"""Background work: run it, watch it, keep it going."""
