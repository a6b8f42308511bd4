"""``python -m experiments.section2``: train the networks of the paper's section II alike, and judge its sentences."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.runner.command import ROOT, WorkArgs, full_recipe, say, work_on

RECIPE = Path(__file__).with_name("recipe.yaml")


@dataclass(kw_only=True)
class Args(WorkArgs):
    """Train every network of section II of the paper, and later ones, by one short recipe; score each once on val and
    on a drive that none has seen; write the page that sets the paper's sentences beside the numbers.

    Interrupt it at any moment and give the same command again to resume.
    """

    data: Path | None = None
    """Folder of CamVid. Not needed with --page-only."""
    out: Path = Path("runs/section2")
    """Folder of the runs."""
    results: Path = ROOT / "results" / "section2"
    """Folder of the result files; runs that are there are done, even if their folders are gone."""
    page: Path = ROOT / "docs" / "experiment" / "section2.md"
    """The page to write."""
    page_only: bool = False
    """Train nothing: write the page from the result files."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and work on the plan; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m experiments.section2")))


def run(args: Args) -> int:
    """Status 0 when all is done or the time is over, 1 when a run failed, 130 when interrupted."""
    from aaff.errors import OptionError
    from experiments.runner.costs import Costs
    from experiments.runner.queue import Queue
    from experiments.section2.drive_out import DriveOut
    from experiments.section2.page import write_page
    from experiments.section2.plan import make_plan, read_costs

    runs = make_plan(full_recipe(str(RECIPE)), read_costs(args.results))
    if args.page_only:
        write_page(args.page, args.results, runs)
        print(f"page: {args.page}")
        return 0
    if args.data is None:
        raise OptionError("python -m experiments.section2 needs --data DIR; --page-only needs none")
    costs = Costs(11, args.out / "costs.json")
    queue = Queue(runs, args.data, args.out, costs, layout=DriveOut.name, archive=args.results, say=say)
    status = work_on(args, queue, args.results, {"recipe": "experiments/section2/recipe.yaml"})
    if not args.status and status != 130:
        write_page(args.page, args.results, runs)
        print(f"page: {args.page}")
    return status


if __name__ == "__main__":
    sys.exit(main())
