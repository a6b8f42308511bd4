"""Trained weights for others: half precision, scored as they are, with a card that people can read.

``weights/NAME.safetensors`` and ``weights/NAME.md``: the first seed of each network of the experiment.  The
score on the card is that of the published file itself, on val, which has chosen nothing: the weights are
those of the last epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from aaff.card import ModelCard
from aaff.data.sample import Dataset
from aaff.errors import ModelError
from aaff.files import write_text
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.provenance import file_hash
from experiments.paper.analysis import TITLES
from experiments.paper.document import write_report
from experiments.paper.pictures import draw_pictures
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import load_results
from experiments.runner.measure import measure_checkpoint
from experiments.runner.results import RunResult

LARGEST = 11 * 2**19
"""Bytes of a published file, at most: 5.5 MiB, since BiSeNet's 2,677,443 parameters take 5.1 in half precision."""

_SOURCE = "source_checkpoint"


def source_of(path: Path) -> str | None:
    """SHA-256 of the checkpoint that a published file was made from; None for a file that was not published."""
    found = read_checkpoint(path)[1].provenance.get(_SOURCE)
    return str(found) if found else None


def publish(folder: Path, first: Mapping[str, tuple[Path, RunResult]], val: Dataset, recipe: str) -> list[Path]:
    """Write weights and card of each network; weights that are there already of the same checkpoint stay.

    Args:
        folder: for the files.
        first: checkpoint and result of a run, by name of the network.
        val: split to score the published files on.
        recipe: what the recipe is called.

    Returns:
        The weights that were written anew.

    Raises:
        ModelError: the weights are larger than ``LARGEST``.
        AaffError: a file cannot be read or written.
    """
    written = []
    for name, (checkpoint, result) in first.items():
        path = folder / f"{name}.safetensors"
        if not path.is_file() or source_of(path) != result.checkpoint:
            _write_weights(path, checkpoint, result.checkpoint, val)
            written.append(path)
        card, size = read_checkpoint(path)[1], path.stat().st_size
        write_text(folder / f"{name}.md", describe(card, result, size, file_hash(path), recipe))
    return written


def republish(root: Path, pictures: Path) -> Path:
    """Write ``docs/experiment`` anew from ``results/experiment`` and ``weights`` alone.

    Args:
        root: of the repository.
        pictures: folder for the semantic maps, of synthetic streets.

    Returns:
        The HTML page.

    Raises:
        AaffError: there are no results, or a file cannot be read or written.
    """
    folder = root / "results" / "experiment"
    results = load_results(folder)
    checkpoints = {}
    for name in PAPER_ORDER:
        path = root / "weights" / f"{name}.safetensors"
        if path.is_file() and any(run.checkpoint == source_of(path) for run in results.of("seeds", name)):
            checkpoints[name] = path
    if checkpoints:
        draw_pictures(pictures, checkpoints, None, {})
    return write_report(root / "docs" / "experiment", folder, pictures if checkpoints else None)


def _write_weights(path: Path, checkpoint: Path, digest: str, val: Dataset) -> None:
    state, card = read_checkpoint(checkpoint)
    card = replace(card, score=None, provenance=card.provenance | {_SOURCE: digest})
    # Twice: the score on the card is that of the rounded weights, which must be a file to be scored.
    save_checkpoint(path, state, card, dtype=torch.float16)
    told = measure_checkpoint(path, val, full=False)
    kept = ("split", "images", "resize", "miou", "pixel_accuracy", "mean_class_accuracy", "per_class")
    score = {key: told[key] for key in kept} | {"selected_on": None}
    save_checkpoint(path, state, replace(card, score=score), dtype=torch.float16)
    size = path.stat().st_size
    if size > LARGEST:
        path.unlink()
        raise ModelError(
            f"{card.network} needs {size / 2**20:.1f} MiB in half precision; at most {LARGEST / 2**20} are allowed"
        )


def describe(card: ModelCard, result: RunResult, size: int, digest: str, recipe: str) -> str:
    """The card as Markdown.

    Args:
        card: of the published file, with its score.
        result: of the run.
        size: of the file in bytes.
        digest: SHA-256 of the file.
        recipe: what the recipe is called.
    """
    score = card.score or {}
    name = card.network
    full = result.scores["val"]
    classes = "\n".join(
        f"| {label} | {_percent(row['iou'])} | {_percent(row['accuracy'])} |"
        for label, row in score["per_class"].items()
    )
    test = result.scores.get("test")
    on_test = (
        f"On test {'this file' if test['checkpoint'] == digest else 'the same run in full precision'} has mean IoU "
        f"{_percent(test['miou'])} and pixel accuracy {_percent(test['pixel_accuracy'])}."
        if test
        else "It was not scored on test."
    )
    return f"""# {TITLES.get(name, name)}

`{name}.safetensors`: half precision, {size / 2**20:.2f} MiB, SHA-256 `{digest}`.

**Licence of the weights: {card.licence}.** The code is MIT; these weights are not.

| | |
| --- | --- |
| network | `{name}`, {result.parameters:,} parameters, {result.macs:,} multiply-accumulates at {result.size} |
| classes | {card.labels.num_classes}: {", ".join(card.labels.names)} |
| data | CamVid train alone, protocol `{card.protocol}`; no other data, no pretraining |
| frames | {card.size}, RGB |
| recipe | `{recipe}`, {card.epoch} epochs, seed {result.seed}; weights of the last epoch, chosen by no split |
| trained | {result.seconds / 3600:.1f} hours, {str(card.provenance.get("date", ""))[:10]}, commit `{_commit(card)}` |

## Score

On the {score["images"]} frames of val (`{card.protocol}`, resize: logits, this file in fp32 arithmetic): mean IoU
**{_percent(score["miou"])}**, pixel accuracy {_percent(score["pixel_accuracy"])}, mean class accuracy
{_percent(score["mean_class_accuracy"])}, in percent. The checkpoint in full precision has {_percent(full["miou"])}
and {_percent(full["pixel_accuracy"])}. {on_test}

Val lies between the training frames of the same drive: on other streets it does worse, see the report of the
experiment.

| class | IoU | accuracy |
| --- | ---: | ---: |
{classes}

## Use

```sh
aaff evaluate {name} --data camvid
aaff predict street.png --model {name} --out maps
```
"""


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"


def _commit(card: ModelCard) -> str:
    return str(card.provenance.get("commit") or "unknown")[:10]
