"""What the core needs of the world outside, as Protocols; the contract stands in the docstrings."""
