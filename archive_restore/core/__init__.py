"""What follows from the records: pure functions, numpy at most; no files, no clock, no randomness."""
