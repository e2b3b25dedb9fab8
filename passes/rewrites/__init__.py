"""Rewrites, by subject; each module adds patterns to the sets in :mod:`.sets`."""
