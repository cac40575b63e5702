"""What one can do with TaskFlow: a frozen dataclass of ports each, called with a command and an actor."""
