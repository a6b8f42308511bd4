"""The experiment in miniature: the same plan, work and report, on synthetic streets, in minutes.

It shows that everything works and how it looks; its scores say nothing about the networks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aaff.errors import AaffError
from aaff.preprocess import Size
from aaff.synthetic.write import write_scenes
from aaff.training.recipe import Recipe
from experiments.paper.experiment import Experiment
from experiments.paper.fault import Scale
from experiments.paper.plan import Settings
from experiments.runner.work import share_cores

SIZE = Size(160, 120)
"""Of the synthetic frames."""


def run_miniature(
    out: Path,
    recipe: Recipe,
    *,
    data: Path | None = None,
    frames: tuple[int, int, int] = (96, 24, 24),
    fault: Scale = Scale(Size(64, 64), train=16, test=6, steps=12),  # noqa: B008  # frozen
    jobs: int | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Make a data set unless there is one, train the four networks on it, score them and write the report.

    Called again, it resumes.

    Args:
        out: folder for everything.
        recipe: of the runs.
        data: a data set; None makes one in ``out``.
        frames: to render, for train, val and test.
        fault: scale of the reference implementation's fault.
        jobs, threads: as in ``experiments.runner.work.share_cores``.
        say: told in a line what happens.

    Returns:
        The HTML page.

    Raises:
        AaffError: a run failed or was interrupted.
    """
    if data is None:
        data = out / "scenes"
        if not (data / ".whole").is_file():
            say(f"rendering {sum(frames)} synthetic frames")
            write_scenes(data, size=SIZE, train=frames[0], val=frames[1], test=frames[2])
            (data / ".whole").touch()
    settings = Settings({"seeds": recipe}, seeds=(0,), test=True, control_seeds=())
    experiment = Experiment(data, out, settings, say=say, miniature=True)
    status = experiment.work(experiment.runs, *share_cores(jobs, threads), every=15)
    if status:
        raise AaffError(f"the experiment in {out} did not finish; give the same command again to resume")
    results = out / "report" / "results"
    experiment.fault(results, fault)
    return experiment.report(out / "report", results, drawn=False)
