"""The pixel science: arrays in, arrays out; no files, no catalog, nothing outside the arguments."""
