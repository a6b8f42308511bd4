"""The files of a training run: recipe, checkpoints, state, history and pictures.

Every file is written atomically.  The order matters only at the end of an epoch: first the checkpoints, then the state,
so that a run killed in between repeats the end of the epoch and writes the checkpoints again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from aaff.card import ModelCard
from aaff.errors import AaffError
from aaff.files import remove_stale, write_text
from aaff.networks.weights import save_checkpoint
from aaff.textfile import to_yaml
from aaff.training.progress import write_history
from aaff.training.recipe import Recipe
from aaff.training.state import Snapshot, save_snapshot

STATE = "last.state.safetensors"
LAST = "last.safetensors"
BEST = "best.safetensors"


@contextmanager
def _how_to_continue() -> Iterator[None]:
    """Add to a write error how to continue the run."""
    try:
        yield
    except AaffError as error:
        raise AaffError(f"{error}; free some disk space or fix the folder, then continue with --resume") from error


class RunFolder:
    """Writes the files of a run.

    Args:
        path: the folder; it need not exist.
        recipe: the recipe of the run.

    Raises:
        AaffError: from every method, if a file cannot be written; says how to continue.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.recipe = path, recipe
        self._frames = path / "frames"

    @_how_to_continue()
    def create(self) -> None:
        """Create the folder, with the recipe in it."""
        write_text(self.path / "recipe.yaml", to_yaml(self.recipe.to_dict()))

    def remove_stale(self) -> None:
        """Remove the files that a killed process was writing."""
        for folder in (self.path, self._frames):
            remove_stale(folder)

    @_how_to_continue()
    def save_checkpoint(self, weights: Mapping[str, Tensor], card: ModelCard, *, best: bool) -> None:
        """Write the weights of an epoch as the last ones, and as the best ones too if they are."""
        save_checkpoint(self.path / LAST, weights, card)
        if best:
            save_checkpoint(self.path / BEST, weights, card)

    @_how_to_continue()
    def save_state(self, snapshot: Snapshot) -> None:
        """Write what resuming needs."""
        save_snapshot(self.path / STATE, snapshot)

    @_how_to_continue()
    def save_history(self, history: Sequence[dict[str, Any]]) -> None:
        """Write the epochs so far as tables and curves."""
        write_history(self.path, history, self.recipe.val_split)

    @contextmanager
    def picture(self, epoch: int) -> Iterator[Path]:
        """The file for the predictions after an epoch, counted from 1."""
        with _how_to_continue():
            yield self._frames / f"epoch-{epoch:04}.jpg"
