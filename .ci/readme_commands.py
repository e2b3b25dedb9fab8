"""Print the commands that README.md gives a newcomer, so that CI runs those and no others.

``python .ci/readme_commands.py NAME [FILE]`` prints the fenced block that follows the line
``<!-- ci: NAME -->``.  Status 1, with one sentence, when there is not exactly one such block.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

USAGE = 2


class ReadmeError(Exception):
    """The README does not hold exactly one marked block of that name."""


def commands(readme: str, name: str) -> str:
    """The content of the block marked ``name``, shell prompts (``$ ``) removed."""
    marker = re.compile(rf"^<!-- ci: {re.escape(name)} -->\s*$", re.MULTILINE)
    found = list(marker.finditer(readme))
    if len(found) != 1:
        raise ReadmeError(f"expected one '<!-- ci: {name} -->', found {len(found)}")
    block = re.match(r"\s*```\w*\n(.*?)^```\s*$", readme[found[0].end() :], re.DOTALL | re.M)
    if block is None:
        raise ReadmeError(f"no fenced block follows '<!-- ci: {name} -->'")
    lines = [line.removeprefix("$ ") for line in block[1].splitlines()]
    if not any(line.strip() for line in lines):
        raise ReadmeError(f"the block after '<!-- ci: {name} -->' is empty")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print the block; the status is the process's."""
    if len(arguments) not in (1, 2):
        print("usage: readme_commands.py NAME [FILE]", file=sys.stderr)
        return USAGE
    default = Path(__file__).resolve().parent.parent / "README.md"
    path = Path(arguments[1]) if len(arguments) > 1 else default
    try:
        print(commands(path.read_text("utf-8"), arguments[0]), end="")
    except (OSError, ReadmeError) as error:
        print(f"{path.name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
