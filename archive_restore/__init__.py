"""Restore old photographs on your own machine, with proof of what is record and what is story."""

__version__ = "0.1.0"
