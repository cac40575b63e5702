"""What others notice while one client is hostile."""
