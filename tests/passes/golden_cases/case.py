"""What a case is."""

from __future__ import annotations

Case = tuple[str, str]
"""A pipeline, and the function that it is run on."""
