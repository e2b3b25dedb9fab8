"""Fuzz burnish: ``python tests/fuzz/run.py --minutes 60``; see CONTRIBUTING.md."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click
from fuzzer.campaign import Campaign, replay


@click.command()
@click.option("--minutes", default=3.0, show_default=True, help="How long to run.")
@click.option("--seed", type=int, help="Where to start; random when absent, and printed.")
@click.option("--out", type=click.Path(path_type=Path), help="A folder for failures, as text.")
@click.option("--replay", "seed_text", help="Run the graph of one seed that a failure printed.")
def main(minutes: float, seed: int | None, out: Path | None, seed_text: str | None) -> None:
    """Compare the interpreter, compiled C, passes and onnxruntime on random graphs."""
    if seed_text is not None:
        failure = replay(seed_text)
        click.echo(str(failure) if failure else f"seed {seed_text}: no failure")
        sys.exit(failure is not None)
    seed = secrets.randbelow(1 << 30) if seed is None else seed
    click.echo(f"seed {seed}")

    def say(text: str) -> None:
        click.echo(text)
        sys.stdout.flush()

    campaign = Campaign(seed, out, say=say)
    campaign.run(minutes=minutes)
    for reason, count in campaign.tally.most_common():
        if reason.startswith("refusal"):
            click.echo(f"{count:6} {reason}")
    sys.exit(bool(campaign.failures))


if __name__ == "__main__":
    main()
