"""What the commands that work on a plan have in common: their options, the status table, work, results, backup."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaff.files import replacing

if TYPE_CHECKING:
    from aaff.training.recipe import Recipe
    from experiments.runner.planned import PlannedRun
    from experiments.runner.queue import Queue

ROOT = Path(__file__).parents[2]
"""Of the repository."""


@dataclass(kw_only=True)
class WorkArgs:
    """Options of every command that works on a plan."""

    status: bool = False
    """Show what is done, what is left and how long it will take, and start nothing."""
    minutes: float | None = None
    """Stop after this many minutes; the same command resumes. Default: when all is done."""
    only: tuple[str, ...] = ()
    """Work on these networks alone, by their names in the plan."""
    jobs: int | None = None
    """Runs side by side; default: one per core."""
    threads: int | None = None
    """Threads of each run; default: 1."""
    backup: Path | None = None
    """Copy the results of every finished run to this folder too."""


def full_recipe(name: str) -> Recipe:
    """A recipe with every value filled in.

    Raises:
        OptionError: it cannot be read, or has an unknown key or value.
    """
    from aaff.cli.options import parse
    from aaff.training.recipe import Recipe, read_recipe, to_flags

    return parse(Recipe, to_flags(read_recipe(name), f"recipe {name}"), prog=f"recipe {name}", default=Recipe())


def chosen_runs(runs: Sequence[PlannedRun], only: Sequence[str]) -> list[PlannedRun]:
    """The runs of the networks named, or all.

    Raises:
        UnknownNameError: the plan has no such network.
    """
    from aaff.errors import UnknownNameError

    known = {run.variant.name for run in runs}
    for name in only:
        if name not in known:
            raise UnknownNameError("network of the plan", name, known)
    return [run for run in runs if not only or run.variant.name in only]


def work_on(args: WorkArgs, queue: Queue, results: Path, settings: Mapping[str, Any]) -> int:
    """Train and score what the options ask for; every finished run leaves its result at once.

    Args:
        args: the options.
        queue: the plan and its folder.
        results: folder of the result files; what is there counts as done if it is the queue's archive.
        settings: told in ``plan.json``.

    Returns:
        0 when all is done or the time is over, 1 when a run failed, 130 after an interruption.
    """
    from experiments.runner.results import gather
    from experiments.runner.work import share_cores

    runs = chosen_runs(queue.runs, args.only)
    jobs, threads = share_cores(args.jobs, args.threads)
    if args.status:
        print_status(queue, runs, jobs, threads)
        return 0

    def keep(run: PlannedRun) -> None:
        gather(results, queue, settings)
        if args.backup is not None:
            for path in sorted(results.rglob("*.json")):
                target = args.backup / path.relative_to(results)
                target.parent.mkdir(parents=True, exist_ok=True)
                with replacing(target) as temporary:
                    shutil.copyfile(path, temporary)

    status = queue.work(runs, jobs, threads, minutes=args.minutes, scored=keep)
    gather(results, queue, settings)
    return status


def print_status(queue: Queue, runs: Sequence[PlannedRun], jobs: int, threads: int) -> None:
    """What is done and what is left."""
    from aaff.cli.console import print_table
    from experiments.runner.queue import span

    states = queue.states()
    rows = []
    for run in runs:
        state = states[run.name]
        score = f"{100 * state.score:.1f}" if state.score is not None else ""
        left = queue.clock.left(run, state)
        told = state.stage + (f": {state.failure}" if state.failure else "")
        entire = span(queue.clock.whole(run))
        rows.append((run.name, told, f"{state.epoch}/{run.recipe.epochs}", score, entire, span(left) if left else ""))
    print_table(("run", "state", "epoch", "val mean IoU", "one core needs", "left"), rows, text_columns=2)
    for group in dict.fromkeys(run.group for run in runs):
        mine = [run for run in runs if run.group == group]
        whole = sum(queue.clock.whole(run) for run in mine) / jobs
        done = sum(states[run.name].stage == "done" for run in mine)
        left = queue.time_left(mine, states, jobs)
        print(f"{group}: {done} of {len(mine)} done; {span(whole)} in all, {span(left)} left")
    basis = "measured on the runs so far" if queue.clock.measured else "guessed; nothing has run here yet"
    total = span(queue.time_left(runs, states, jobs))
    print(f"left: {total} with {jobs} runs side by side on {threads} thread{'s' * (threads > 1)} each ({basis})")


def say(line: str) -> None:
    """A line with the time of day, at once, since somebody may watch a log for hours."""
    from datetime import datetime

    print(f"{datetime.now():%H:%M:%S} {line}", flush=True)
