"""The outside world, one library each."""
