"""The op set.  Importing this package registers every op; one file per family."""

from . import core

__all__ = ["core"]
