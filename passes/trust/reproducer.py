"""Reproducers: a failure as one self-contained text file.

The file is IR text, constants included, under a header of comments; so it is also a module that
every command reads.  The header says what failed, in which pipeline, and on what inputs, which
are themselves IR text: a module whose function returns them::

    //! burnish reproducer 1
    //! failure: "mismatch"
    //! passes: "fold,cse"
    //! ...
    //! inputs:
    //!   module "main" { ... }
    module "m" { ... }
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.ir import Array, Constant, Module, build_function, interpret, parse, to_text
from burnish.ir.errors import ParseError, PassError, clip

from ..base import Pass
from ..journal import Rewrite
from ..pipeline import parse_pipeline
from .draws import KINDS, Draw
from .failure import Failure

FORMAT = 1
_MARK = "//! "
_TITLE = f"{_MARK}burnish reproducer "


@dataclass(frozen=True)
class Reproducer:
    """A module, what to do with it, and what then goes wrong.

    Attributes:
        module: as it is before the first of ``passes``.
        passes: the pipeline, as text.
        failure: what went wrong when this was written: its kind, message and place.
        seed: of the inputs that modules are interpreted on.
        load: Python files that define passes, in the order to load them.
        target: compile for it and run, after the passes; empty for passes alone.
        version: of burnish.
    """

    module: Module
    passes: str
    failure: Failure
    seed: int = 0
    load: tuple[str, ...] = ()
    target: str = ""
    version: str = ""

    def __str__(self) -> str:
        """The text of the file."""
        failure = self.failure
        entries: dict[str, object] = {
            "failure": failure.kind,
            "pass": failure.pass_,
            "rewrite": failure.rewrite.name if failure.rewrite else "",
            "message": failure.message,
            "passes": self.passes,
            "target": self.target,
            "seed": self.seed,
            "load": list(self.load),
            "version": self.version,
        }
        lines = [f"{_TITLE}{FORMAT}: run it with `burnish opt --replay FILE`"]
        lines += [f"{_MARK}{key}: {json.dumps(value)}" for key, value in entries.items() if value]
        if failure.changed:
            lines.append(f"{_MARK}changed:")
            lines += [f"{_MARK}  {line}" for line in failure.changed.split("\n")]
        if failure.draw is not None:
            lines.append(f"{_MARK}inputs: {json.dumps([failure.draw.kind, failure.draw.what])}")
            text = to_text(_inputs_module(failure.draw), embed=True)
            lines += [f"{_MARK}  {line}" for line in text.splitlines()]
        return "\n".join([*lines, to_text(self.module, embed=True)])

    @property
    def name(self) -> str:
        """A file name: equal reproducers have equal ones."""
        plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.module.name)
        digest = hashlib.sha256(str(self).encode()).hexdigest()[:10]
        return f"{plain[:40] or 'module'}-{self.failure.kind}-{digest}.burnish"

    def pipeline(self) -> list[Pass]:
        """The passes.

        Raises:
            Error: one is not known; it may be defined in a file to load.
        """
        try:
            return parse_pipeline(self.passes) if self.passes else []
        except PassError as error:
            if self.load:
                files = " ".join(f"--load {file}" for file in self.load)
                error.help = f"the reproducer was made with {files}"
            raise


def is_reproducer(text: str) -> bool:
    """Whether the text of a module begins with the header of a reproducer."""
    return text.startswith(_TITLE)


def parse_reproducer(text: str) -> Reproducer:
    """The reproducer that ``text`` holds.

    Raises:
        ParseError: no header, a damaged one, or one of a newer burnish; or a broken module.
    """
    if not is_reproducer(text):
        raise ParseError(
            "the text has no header of a reproducer",
            line=1,
            column=1,
            help="`burnish opt --verify semantic` writes one when it finds a wrong pass",
        )
    header = [line for line in text.split("\n") if line.startswith(_MARK.rstrip())]
    entries, blocks = _entries(header)
    number = header[0].removeprefix(_TITLE).partition(":")[0]
    if number != str(FORMAT):
        raise ParseError(
            f"the reproducer has format {clip(number)}, this burnish knows {FORMAT}", line=1
        )
    try:
        return _reproducer(entries, blocks, parse(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ParseError(f"the header is damaged: {clip(repr(error))}", line=1) from None


def _reproducer(
    entries: Mapping[str, object], blocks: Mapping[str, str], module: Module
) -> Reproducer:
    draw = None
    if "inputs" in blocks:
        draw = _draw(parse(blocks["inputs"]), entries["inputs"])
    failure = Failure(
        str(entries["failure"]),
        str(entries.get("pass", "")),
        str(entries.get("message", "")),
        Rewrite(str(entries["rewrite"]), 0) if "rewrite" in entries else None,
        changed=blocks.get("changed", ""),
        draw=draw,
    )
    load = entries.get("load", [])
    if not isinstance(load, list):
        raise TypeError(f"load is {load!r}")
    return Reproducer(
        module,
        str(entries.get("passes", "")),
        failure,
        seed=int(str(entries.get("seed", 0))),
        load=tuple(map(str, load)),
        target=str(entries.get("target", "")),
        version=str(entries.get("version", "")),
    )


def _entries(header: Sequence[str]) -> tuple[dict[str, object], dict[str, str]]:
    """The values and the indented blocks of a header, by key."""
    entries: dict[str, object] = {}
    blocks: dict[str, list[str]] = {}
    key = ""
    for number, line in enumerate(header[1:], start=2):
        content = line.removeprefix(_MARK)
        if content.startswith("  "):
            blocks.setdefault(key, []).append(content[2:])
            continue
        key, colon, value = content.partition(":")
        try:
            entries[key] = json.loads(value) if value.strip() else ""
        except json.JSONDecodeError:
            colon = ""
        if not colon:
            raise ParseError(
                f"the header of the reproducer is damaged: {clip(content)}",
                line=number,
                column=len(_MARK) + 1,
            )
    return entries, {key: "\n".join(lines) for key, lines in blocks.items()}


def _inputs_module(draw: Draw) -> Module:
    """A module that returns the inputs: the IR's own text form keeps every bit of them."""
    module = Module(draw.function)
    _, builder = build_function(module, "main", {}, list(draw.inputs))
    builder.ret(*(builder.constant(Constant(array)) for array in draw.inputs.values()))
    return module


def _draw(module: Module, made: object) -> Draw:
    inputs: dict[str, Array] = interpret(module, {})
    if not isinstance(made, list) or len(made) != 2 or made[0] not in KINDS:
        raise ValueError(f"inputs of the kind {made!r}")
    return Draw(module.name, inputs, made[0], str(made[1]))
