"""What background jobs cost, how fast they are done, and what does not slow them down."""
