"""Strings of a model, which protobuf hands out as ``bytes`` when they are no UTF-8."""

from __future__ import annotations

from burnish.ir.errors import ModelError, clip


def text_of(value: str | bytes) -> str:
    """``value`` as text.

    Raises:
        ModelError: the name is no valid UTF-8.
    """
    if isinstance(value, str):
        return value
    raise ModelError(
        f'the name "{shown(value)}" is not valid UTF-8',
        help="the model file is damaged, or was written wrongly; export it again",
    )


def shown(value: str | bytes) -> str:
    """``value`` for a message, whatever it contains."""
    return clip(value if isinstance(value, str) else value.decode("utf-8", "backslashreplace"))
