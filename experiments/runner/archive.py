"""Finished runs as files of a repository, one each: all that the report needs, and proof that a run is done.

A run folder holds hundreds of megabytes and lives on one machine.  Its result is a small file that can be
committed as soon as the run ends; with it the run counts as done wherever the repository goes, provided that
recipe, frames and arithmetic are those of the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aaff.errors import AaffError, DataError, OptionError
from aaff.files import read_json
from experiments.runner.planned import PlannedRun, Scoring
from experiments.runner.states import RunState, differing_keys

LATER = "test"
"""The split that is scored once, at the end, so that a run without it is none the less done."""


class Archive:
    """The finished runs below a folder of results.

    Args:
        folder: of the results, such as ``results/experiment``; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, run: str) -> Path:
        """The file of a run, by its name in the plan."""
        return self.folder / "runs" / f"{run}.json"

    def read(self, run: PlannedRun) -> dict[str, Any] | None:
        """The result of a run; None when there is none, or when it lacks a score that the plan asks for.

        Raises:
            AaffError: the file is damaged or no result of a run.
        """
        path = self.path(run.name)
        if not path.is_file():
            return None
        entry: dict[str, Any] = read_json(path)
        missing = {"recipe", "data", "scores", "history", "seconds", "checkpoint", "provenance"} - entry.keys()
        if missing:
            raise AaffError(f"{path} is no result of a run: it lacks {', '.join(sorted(missing))}; remove it")
        needed = {scoring.name for scoring in run.scorings} - {LATER}
        return entry if needed <= entry["scores"].keys() else None

    def progress(self, run: PlannedRun) -> RunState | None:
        """That a run is done; None when there is no result of it."""
        entry = self.read(run)
        if entry is None:
            return None
        scores = [row["miou"] for row in entry["history"] if "miou" in row]
        return RunState("done", run.recipe.epochs, float(entry["seconds"]), scores[-1] if scores else None)

    def check(self, run: PlannedRun, frames: str, content: Callable[[Scoring], str]) -> dict[str, Any] | None:
        """Refuse a result that is not what the plan says.

        Args:
            run: what should be there.
            frames: hash of the names of its training frames.
            content: SHA-256 of a split that it was scored on.

        Returns:
            The arithmetic of the training (device, precision), None when there is no result.

        Raises:
            OptionError: the recipe or the training frames differ; the keys are named.
            DataError: a scored split has changed since.
        """
        entry = self.read(run)
        if entry is None:
            return None
        path = self.path(run.name)
        changed = differing_keys(entry["recipe"], run.recipe.to_dict())
        if changed:
            told = ", ".join(f"{key} ({old} → {new})" for key, (old, new) in changed.items())
            raise OptionError(f"{path} is of another recipe: {told}; give those settings, or another --results")
        if entry["data"] != frames:
            raise OptionError(f"{path} is of other training frames; use its data, or another --results")
        for scoring in run.scorings:
            score = entry["scores"].get(scoring.name)
            if score is not None and score["frames_sha256"] != content(scoring):
                raise DataError(
                    f"split {scoring.name!r} is not the one that {path} was scored on; "
                    "restore the data, or use another --results"
                )
        engine = entry["provenance"].get("engine", {})
        return {key: engine.get(key) for key in ("device", "precision")}
