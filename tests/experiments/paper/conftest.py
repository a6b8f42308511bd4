"""Made-up results, and an experiment of seconds that was really carried out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.paper import charts
from experiments.runner.work import Workshop
from tests.experiments.paper.made_up import MakeUp, write_made_up
from tests.experiments.paper.tiny import do_next, experiment


@pytest.fixture
def quick_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are laid out but not drawn, which takes a quarter of a second each."""
    monkeypatch.setattr(charts, "to_svg", lambda figure, title: "<svg/>")


@pytest.fixture
def made_up(tmp_path: Path) -> MakeUp:
    """Writes results of so many finished seeds and drives; runs that are missing stay in the plan."""

    def make(
        *,
        seeds: int = 3,
        drives: int = 3,
        ablation: bool = True,
        test: bool = True,
        speed: bool = True,
        fault: bool = True,
    ) -> Path:
        return write_made_up(tmp_path / "results", seeds, drives, ablation, test, speed, fault)

    return make


@pytest.fixture(scope="session")
def finished(scenes_dir: Path, once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Folder of an experiment whose two runs are trained and scored.  Read only."""

    def carry_out(out: Path) -> None:
        runs = experiment(scenes_dir, out).runs
        shop = Workshop(out, scenes_dir, None, 1, 1, {run.name: {"device": "cpu", "precision": "fp32"} for run in runs})
        for run in runs:
            assert do_next(shop, run) == 0
            assert do_next(shop, run) == 0

    return once("experiment", carry_out)


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The finished experiment, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "experiment"))
