"""Trained models: cards, weights, and how they were made. Not a part of the archive_restore package."""
