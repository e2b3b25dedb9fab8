"""Why an op cannot be written."""

from __future__ import annotations


class Refusal(Exception):
    """An op cannot be expressed; the message says why, and the module's writer names the op."""
