"""Imaging bound to the step ports; preservation and story steps live apart and share nothing."""
