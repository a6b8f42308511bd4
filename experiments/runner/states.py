"""Where the runs of a plan stand, whether they are what the plan says, and how long the rest will take.

A run folder tells everything by itself: the header of its state says recipe, position and arithmetic, and
measurements carry the hash of the checkpoint that they were taken of.  So the plan needs no book of its own,
and nothing can come to disagree with the runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from aaff.card import ModelCard
from aaff.data.sample import Dataset
from aaff.errors import DataError, ModelError, OptionError
from aaff.files import read_json, write_json
from aaff.networks.weights import read_checkpoint
from aaff.provenance import file_hash
from aaff.training.recipe import Recipe
from aaff.training.run_folder import LAST, STATE
from experiments.runner.planned import Macs, PlannedRun, run_folder, total_cost

Stage = Literal["waiting", "begun", "trained", "done", "failed"]
"""``trained`` still lacks scores; ``failed`` ended with an error when it was last tried."""

DEFAULT_RATE = 1.6e-10
"""Seconds of one core per forward multiply-accumulate of a training step, until this machine has been measured."""

_FAILURE = "failure.json"
_ARITHMETIC = ("engine.device", "engine.precision", "engine.threads", "engine.workers", "engine.cache")
_TELLING = ("render_every",)  # changes what is drawn, not the weights


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        stage: see ``Stage``.
        epoch: epochs finished.
        seconds: time trained so far.
        score: last validation mean IoU that the run itself logged.
        failure: last line of a run that failed.
    """

    stage: Stage
    epoch: int = 0
    seconds: float = 0.0
    score: float | None = None
    failure: str = ""


def read_header(folder: Path) -> dict[str, Any] | None:
    """Recipe, position, engine and data of a run, without its tensors; None when it has not begun.

    Raises:
        ModelError: its state is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})["aaff-state"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is no state of a training run ({error}); remove {folder} to train it anew") from error
    return header


def progress(out: Path, run: PlannedRun) -> RunState:
    """How far a run of the plan is."""
    folder = run_folder(out, run)
    header = read_header(folder)
    failure = folder / _FAILURE
    told = str(read_json(failure).get("message", "")) if failure.is_file() else ""
    if header is None:
        return RunState("failed" if told else "waiting", failure=told)
    position = header["position"]
    scores = [row["miou"] for row in position["history"] if "miou" in row]
    epoch, seconds, score = int(position["epoch"]), float(position["seconds"]), scores[-1] if scores else None
    if epoch < run.recipe.epochs or not (folder / LAST).is_file():
        return RunState("failed" if told else "begun", epoch, seconds, score, told)
    stage: Stage = "done" if is_measured(folder, run) else "failed" if told else "trained"
    return RunState(stage, epoch, seconds, score, told if stage == "failed" else "")


def measurement_file(folder: Path, name: str) -> Path:
    """Where the scores of a finished run lie, by the name of the scoring."""
    return folder / "measured" / f"{name}.json"


def is_measured(folder: Path, run: PlannedRun) -> bool:
    """Whether all scores of a trained run are there and belong to its checkpoint."""
    present = [measurement_file(folder, scoring.name) for scoring in run.scorings]
    if not all(path.is_file() for path in present):
        return False
    checkpoint = file_hash(folder / LAST)
    return all(read_json(path).get("checkpoint") == checkpoint for path in present)


def note_failure(folder: Path, status: int, message: str) -> None:
    """Remember that a run ended with an error, for the status table and the report."""
    write_json(folder / _FAILURE, {"status": status, "message": message})


def forget_failure(folder: Path) -> None:
    """The run is tried again."""
    (folder / _FAILURE).unlink(missing_ok=True)


def check_run(out: Path, run: PlannedRun, frames: str | None = None) -> dict[str, Any] | None:
    """Refuse a run folder that does not hold what the plan says.

    Args:
        out: folder of the experiment.
        run: what should be there.
        frames: ``frame_names_hash`` of the training split; None leaves that check out.

    Returns:
        The arithmetic that the run was begun with (device, precision), None when it has not begun.

    Raises:
        OptionError: recipe or frames differ; the keys are named.
    """
    folder = run_folder(out, run)
    header = read_header(folder)
    if header is None:
        return None
    changed = differing_keys(header["recipe"], run.recipe.to_dict())
    if changed:
        told = ", ".join(f"{key} ({old} → {new})" for key, (old, new) in changed.items())
        raise OptionError(
            f"{folder} was begun with another recipe: {told}; give the settings it was begun with, or another --out"
        )
    if frames is not None and header["data"] != frames:
        raise OptionError(
            f"{folder} was trained on other frames than this data set has; use its data, or another --out"
        )
    if (folder / LAST).is_file():
        card: ModelCard = read_checkpoint(folder / LAST)[1]
        if differing_keys(card.recipe, run.recipe.to_dict()):
            raise OptionError(f"{folder / LAST} is from another recipe than the state beside it; use another --out")
    return {key: header["engine"].get(key) for key in ("device", "precision")}


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys by which two recipes would give different weights, with both values.

    A key that one of them does not know yet has its default.  Device and precision are no part of a recipe's
    meaning and are compared apart, as resolved (``common_arithmetic``).

    >>> differing_keys({"epochs": 60, "engine": {"threads": 1}}, {"epochs": 30, "engine": {"threads": 2}})
    {'epochs': (60, 30)}
    """
    default = flatten(Recipe().to_dict())
    left, right = default | flatten(old), default | flatten(new)
    ignored = {*_ARITHMETIC, *_TELLING}
    keys = sorted((left.keys() | right.keys()) - ignored)
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots.

    >>> flatten({"optim": {"lr": 1}})
    {'optim.lr': 1}
    """
    result: dict[str, Any] = {}
    for key, value in data.items():
        result |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return result


def common_arithmetic(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """The device and precision that the begun runs of one condition share; its new runs take the same.

    Args:
        found: what ``check_run`` gave, by run.

    Raises:
        OptionError: they differ, so that a comparison would be one of machines.
    """
    first: tuple[str, Mapping[str, Any]] | None = None
    for name, arithmetic in found.items():
        if first is None:
            first = name, arithmetic
        elif arithmetic != first[1]:
            raise OptionError(
                f"{name} was begun with {arithmetic} but {first[0]} with {dict(first[1])}; "
                "runs that are compared need the same device and precision: remove one of them"
            )
    return dict(first[1]) if first else None


def frame_names_hash(dataset: Dataset) -> str:
    """Fingerprint of the names of a split's frames, as training keeps it in its state."""
    return hashlib.sha256("\n".join(pair.name for pair in dataset.pairs).encode()).hexdigest()


def content_hash(dataset: Dataset) -> str:
    """SHA-256 over names, image files and label files of a split, in order.

    Raises:
        DataError: a file cannot be read.
    """
    total = hashlib.sha256()
    for pair in dataset.pairs:
        total.update(pair.name.encode() + b"\0")
        for path in (pair.image, pair.label):
            try:
                total.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()


def check_content(out: Path, datasets: Sequence[Dataset]) -> dict[str, str]:
    """Hash of every split, the same as when the experiment began.

    Raises:
        DataError: a split has changed since.
    """
    path = out / "data.json"
    known: dict[str, str] = read_json(path) if path.is_file() else {}
    now = {dataset.split: content_hash(dataset) for dataset in datasets}
    for split, value in now.items():
        if known.get(split, value) != value:
            raise DataError(
                f"split {split!r} has changed since the experiment in {out} was begun; restore it, or use another --out"
            )
    if now.keys() - known.keys():
        write_json(path, known | now)
    return known | now


class Clock:
    """Expected times, from what the begun runs of this machine have taken.

    Args:
        frames: number of training frames, by name of the run.
        macs: cost of a network.
    """

    def __init__(self, frames: Mapping[str, int], macs: Macs) -> None:
        self.frames, self.macs = frames, macs
        self._seconds = self._cost = 0.0

    def cost(self, run: PlannedRun, epochs: int | None = None) -> float:
        """Forward multiply-accumulates of a run, or of its first epochs."""
        return total_cost(run.recipe, self.frames[run.name], self.macs, epochs=epochs)

    def learn(self, run: PlannedRun, state: RunState) -> None:
        """Take a begun run into account."""
        if state.epoch:
            self._seconds += state.seconds
            self._cost += self.cost(run, state.epoch)

    def forget(self) -> None:
        """Begin to learn anew."""
        self._seconds = self._cost = 0.0

    @property
    def measured(self) -> bool:
        """Whether times rest on this machine rather than on a guess."""
        return self._cost > 0

    @property
    def rate(self) -> float:
        """Seconds of a job per multiply-accumulate."""
        return self._seconds / self._cost if self._cost else DEFAULT_RATE

    def left(self, run: PlannedRun, state: RunState) -> float:
        """Seconds of a job until the run is trained; scoring adds a few percent."""
        if state.stage in ("trained", "done"):
            return 0.0
        return self.rate * (self.cost(run) - self.cost(run, state.epoch))

    def whole(self, run: PlannedRun) -> float:
        """Seconds of a job for the whole run."""
        return self.rate * self.cost(run)


def last_line(log: Path) -> str:
    """The last line that is not empty of a log; how a failed run explains itself."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
