"""The first lines of a new pass or rule file, with tests that pass as written."""

from __future__ import annotations

import re
from pathlib import Path

from burnish.ir.errors import PassError, UsageError, clip

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")

PASS = '''\
"""The pass ``{name}``."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.ir import Function
from burnish.passes import FunctionPass, PassContext, register_pass


@register_pass
@dataclass(frozen=True)
class {cls}(FunctionPass):
    """Erase what nobody uses, last op first.  (Say here what the pass does, and why.)

    Attributes:
        limit: the most ops to erase.
    """

    name = "{name}"
    limit: int = 1000

    def run_function(self, function: Function, context: PassContext) -> bool:
        """Rewrite ``function`` and say whether it changed."""
        rewriter = context.rewriter()
        for op in list(reversed(function.body)):
            unused = not any(result.use_count for result in op.results)
            if unused and op.opdef.is_pure and rewriter.changes < self.limit:
                rewriter.erase(op)
                context.count("unused", root=op)
        return rewriter.changes > 0
'''

PASS_TEST = '''\
"""The pass ``{name}`` does what it should, and changes no result."""

from __future__ import annotations

from pathlib import Path

import burnish
from burnish.passes import parse_pipeline, run_pipeline
from burnish.passes.trust import compare_modules
from burnish.plugins import load_file

load_file(Path(__file__).with_name("{module}.py"))  # registers the pass

BEFORE = """
module "test" {{
  func @main(%x: tensor<f32[2, 3]>) -> ("y": tensor<f32[2, 3]>) {{
    %unused = math.exp(%x)
    %y = math.neg(%x)
    core.return(%y)
  }}
}}
"""

AFTER = """
module "test" {{
  func @main(%x: tensor<f32[2, 3]>) -> ("y": tensor<f32[2, 3]>) {{
    %y = math.neg(%x)
    core.return(%y)
  }}
}}
"""


def test_the_pass_rewrites() -> None:
    module = burnish.parse(BEFORE)
    report = run_pipeline(module, "{name}", verify="each")
    assert module == burnish.parse(AFTER), str(module)
    assert report.records[0].rewrites == {{"unused": 1}}


def test_the_pass_keeps_results() -> None:
    before, after = burnish.parse(BEFORE), burnish.parse(BEFORE)
    run_pipeline(after, "{name}")
    assert compare_modules(before, after) is None


def test_its_options_are_text() -> None:
    (only,) = parse_pipeline("{name}{{limit=3}}")
    assert str(only) == "{name}{{limit=3}}"
'''

RULES = """\
"{title}: say here what these rules are about."

# Try to refute them:  burnish passes --check {name}.rules
# As part of a test suite:  pytest {name}.rules

rule {name}-subtract-negated {{
  "x - -y is x + y.  (Say in algebra why a rule holds.)"
  match   math.sub(x, math.neg(y))
  rewrite math.add(x, y)
}}

rule {name}-reciprocal-root promise rounding {{
  "1 / sqrt(x) is what rsqrt computes, which narrow floats round once instead of twice."
  match   math.div(1, once math.sqrt(x))
  rewrite math.rsqrt(x)
}}
"""


def write_pass(name: str, folder: Path) -> list[Path]:
    """Write a pass called ``name`` and its test into ``folder``; the files, the test last.

    Raises:
        PassError: no name of a pass, or one that is taken.
        UsageError: a file is there already, or cannot be written.
    """
    from burnish.passes import passes

    _check(name)
    if name in passes():
        raise PassError(f"there is a pass {name} already", help="choose another name")
    module = name.replace("-", "_")
    cls = "".join(part.capitalize() for part in name.split("-"))
    names = {"name": name, "module": module, "cls": cls}
    files = {f"{module}.py": PASS, f"test_{module}.py": PASS_TEST}
    return _written(folder, {file: text.format(**names) for file, text in files.items()})


def write_rules(name: str, folder: Path) -> list[Path]:
    """Write a rule file ``name.rules`` into ``folder``.

    Raises:
        PassError: no name of a rule file.
        UsageError: the file is there already, or cannot be written.
    """
    _check(name)
    title = name.replace("-", " ").capitalize()
    return _written(folder, {f"{name}.rules": RULES.format(name=name, title=title)})


def _check(name: str) -> None:
    if not _NAME.match(name):
        raise PassError(
            f"{clip(name)} cannot be a name",
            help="use lower-case words with hyphens between them, such as fold-padding",
        )


def _written(folder: Path, files: dict[str, str]) -> list[Path]:
    """Write new files, all or none."""
    paths = [folder / file for file in files]
    for path in paths:
        if path.exists():
            raise UsageError("the file is there already", at=clip(str(path)))
    for path, text in zip(paths, files.values()):
        try:
            path.write_text(text, "utf-8")
        except OSError as error:
            raise UsageError(
                f"the file cannot be written: {error.strerror}", at=clip(str(path))
            ) from None
    return paths
