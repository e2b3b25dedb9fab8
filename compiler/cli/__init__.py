"""The command line: ``burnish COMMAND …``.

Commands are thin: they parse, call what Python users call, and print.  Their modules import
click only, and what they need when they run, so that ``burnish --help`` answers at once.

Exit status: 0 for success, 1 when the model or the request is at fault, 2 for wrong usage.
"""

from .app import main

__all__ = ["main"]
