"""``burnish passes``: list the passes, explain one, attack rules, begin a new pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import console, json_option, print_json, show

if TYPE_CHECKING:
    from burnish.passes.attack import Verdict

HELD, REFUTED = 0, 1
FRESH = "fresh"


@dataclass(frozen=True)
class Attack:
    """What ``--check`` asks for."""

    file: str
    instances: int
    seed: int


@click.command("passes", short_help="List the passes, explain one, check rules, begin a new one.")
@click.argument("words", nargs=-1, metavar="[NAME | new NAME]")
@click.option("--check", metavar="FILE", help="Attack the rules in a file by random instances.")
@click.option(
    "--instances",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Random instances to attack each rule with.",
)
@click.option(
    "--seed", default="0", show_default=True, metavar="N", help="Seed of those, or 'fresh'."
)
@click.option(
    "--load",
    multiple=True,
    metavar="FILE.py",
    help="Run a Python file first that defines passes, ops or rule functions of your own.",
)
@click.option("--rules", is_flag=True, help="With new: begin a rule file instead of a pass.")
@json_option
def passes_command(
    words: tuple[str, ...],
    check: str | None,
    instances: int,
    seed: str,
    load: tuple[str, ...],
    rules: bool,
    as_json: bool,
) -> int:
    """List the passes with their options, or explain the pass NAME.

    `burnish passes new NAME` writes the skeleton of a pass and its test (with --rules: of a rule
    file) into the current folder.  --check tries to refute each rule of a file; the exit status
    is 1 if it refutes one, or finds too few instances of one.

    Example: burnish passes canonicalize
    """
    from ..plugins import load_file

    for file in load:
        load_file(file)
    if check is not None:
        if words or rules:
            raise click.UsageError("--check takes a file, and no name")
        return check_rules(Attack(check, instances, _seed(seed)), as_json=as_json)
    if words[:1] == ("new",) and len(words) == 2:
        begin(words[1], rules=rules, as_json=as_json)
    elif len(words) > 1:
        raise click.UsageError("name one pass, or say `new NAME`")
    elif rules:
        raise click.UsageError("--rules goes with `new NAME`")
    else:
        list_passes(words[0] if words else None, as_json=as_json)
    return HELD


def _seed(text: str) -> int:
    if text == FRESH:
        import secrets

        return secrets.randbits(32)
    if not text.isdecimal():
        raise click.UsageError(f"--seed takes a number or '{FRESH}'")
    return int(text)


# Lists -----------------------------------------------------------------------------------


def list_passes(name: str | None, *, as_json: bool) -> None:
    """All passes, or one with its options."""
    from burnish.ir.errors import PassError
    from burnish.passes import passes

    everything = passes()
    if name is not None and name not in everything:
        raise PassError(f"there is no pass {name}", help="`burnish passes` lists all")
    chosen = everything if name is None else {name: everything[name]}
    if as_json:
        print_json([_pass_data(cls) for cls in chosen.values()])
    elif name is not None:
        data = _pass_data(everything[name])
        click.echo(f"{name}\n\n{data['doc']}")
        for option, default in data["options"].items():
            click.echo(f"  {option} = {default}")
        if data["rules"]:
            columns = ("rule", "what it does", "promise", "where")
            rows = [tuple(rule[key] for key in ("name", "doc", "promise", "where"))
                    for rule in data["rules"]]  # fmt: skip
            _table(f"Rules of {name}", columns, rows)
    else:
        rows = []
        for cls in chosen.values():
            data = _pass_data(cls)
            options = ", ".join(f"{key}={value}" for key, value in data["options"].items())
            rows.append((data["name"], data["doc"].partition("\n")[0], options))
        _table("Passes", ("name", "what it does", "options"), rows)


def _pass_data(cls: Any) -> dict[str, Any]:
    options = {option.name.replace("_", "-"): option.default for option in cls.options()}
    return {"name": cls.name, "doc": cls.doc(), "options": options, "rules": _rules_of(cls)}


def _rules_of(cls: Any) -> list[dict[str, str]]:
    """The patterns that a pass applies, the rows of one table once."""
    patterns = {pattern.name: pattern for pattern in getattr(cls, "patterns", ())}
    return [
        {"name": p.name, "doc": p.doc, "promise": p.promise, "where": p.where}
        for p in patterns.values()
    ]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    show(table)


# Checks ----------------------------------------------------------------------------------


def check_rules(attack: Attack, *, as_json: bool) -> int:
    """Attack the rules of a file, and say how they fared; the exit status."""
    from burnish.passes import attack as attacks

    from ..progress import terminal_progress

    subjects = attacks.subjects_of(attack.file)
    verdicts: list[Verdict] = []
    with terminal_progress() as progress:
        for index, (name, subject) in enumerate(subjects):
            progress(f"attack {name}", index / len(subjects))
            verdict = attacks.attack(subject, instances=attack.instances, seed=attack.seed)
            verdict.name = name
            verdicts.append(verdict)
    if as_json:
        print_json([_verdict_data(verdict) for verdict in verdicts])
    else:
        _show_verdicts(attack, verdicts)
    return HELD if all(verdict.holds for verdict in verdicts) else REFUTED


def _show_verdicts(attack: Attack, verdicts: Sequence[Verdict]) -> None:
    rows = [
        (v.name, v.promise, f"{v.instances} of {v.wanted}", str(v.attempts), v.word)
        for v in verdicts
    ]
    title = f"{Path(attack.file).name}, seed {attack.seed}"
    _table(title, ("rule", "promise", "instances", "attempts", "verdict"), rows)
    out = console()
    for verdict in verdicts:
        if not verdict.holds:
            out.print(f"\n{verdict}")


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    refutation = verdict.refutation
    data: dict[str, Any] = {
        "rule": verdict.name,
        "where": verdict.where,
        "promise": verdict.promise,
        "instances": verdict.instances,
        "attempts": verdict.attempts,
        "seed": verdict.seed,
        "verdict": verdict.word,
        "stuck": verdict.stuck if verdict.is_starved else "",
        "refusals": dict(verdict.refusals.most_common(10)),
    }
    if refutation is not None:
        data["counter-example"] = {
            "before": str(refutation.before),
            "after": None if refutation.after is None else str(refutation.after),
            "inputs": {name: array.tolist() for name, array in refutation.inputs.items()},
            "difference": refutation.difference,
        }
    return data


# New passes ------------------------------------------------------------------------------


def begin(name: str, *, rules: bool, as_json: bool) -> None:
    """Write the files of a new pass, or rule file, and say which."""
    from ..skeletons import write_pass, write_rules

    written = (write_rules if rules else write_pass)(name, Path())
    if as_json:
        print_json([str(path) for path in written])
        return
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"test it with: pytest {' '.join(str(path) for path in written[-1:])}")
