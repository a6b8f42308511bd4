"""``aaff evaluate``: score a model on a split, alongside baselines that need no network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aaff.cli.console import console
from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.data.sample import Dataset
    from aaff.evaluation import Baseline
    from aaff.labels import LabelMap, UInt8Array


@dataclass
class Args:
    """Score a model on a split: mean IoU, pixel and class accuracy, the IoU of every class, and two baselines that
    ignore the image."""

    model: tyro.conf.Positional[Path]
    """An exported file (.onnx), a checkpoint (.safetensors), a run folder or a model name (see: aaff models).
    Of a run folder, the best checkpoint is used, otherwise the last."""
    data: Path
    """Folder of the data set."""
    split: str = "val"
    """Split to score; use test for final results only, not for model selection."""
    json: Path | None = None
    """Write the report to this JSON file."""
    size: Size | None = None
    """Input size of the network; default: the model's own."""
    protocol: str | None = None
    """Classes and splits to score by, such as camvid11 or camvid11-drives; default: the model's own."""
    layout: str | None = None
    """Folder layout of the data set; default: detected."""
    engine: str = "auto"
    """Inference engine: openvino (used by auto) or onnxruntime for an exported file, torch for a checkpoint."""
    precision: str | None = None
    """fp32 or bf16; for int8 files int8 or int8-bf16 (unquantised layers in bf16). Default: the file's own."""
    threads: int | None = None
    """CPU threads; default: all cores."""


def run(args: Args) -> int:
    """Print the report; status 0."""
    from aaff.cli.data_tables import reading
    from aaff.cli.outputs import check_json
    from aaff.data import open_dataset
    from aaff.evaluation import Subject, evaluate
    from aaff.evaluation.table import print_report
    from aaff.files import write_json
    from aaff.loading import find_model, frame_to_map, load_segmenter
    from aaff.provenance import file_hash

    check_json(args.json)
    path = find_model(args.model, precision=args.precision, engine=args.engine)
    segmenter = load_segmenter(
        path, engine=args.engine, precision=args.precision, threads=args.threads, size=args.size, confidence=False
    )
    engine, card = segmenter.engine, segmenter.card
    dataset = open_dataset(args.data, args.split, protocol=args.protocol or card.protocol, layout=args.layout)
    check_labels(path, card.labels, dataset)
    segment, resize = frame_to_map(segmenter)
    sizes: Counter[Size] = Counter()

    def predict(frame: UInt8Array) -> UInt8Array:
        sizes[segmenter.engine_for(frame).card.size] += 1
        return segment(frame)

    subject = Subject(
        model=card.network,
        engine=engine.name,
        precision=engine.precision,
        size=str(card.size),
        resize=resize,
        checkpoint=file_hash(path),
        selected_on=(card.score or {}).get("selected_on"),
        details={"options": card.options, "epoch": card.epoch, "licence": card.licence},
    )
    baselines, notes = baseline_rows(dataset)
    with reading(f"evaluating {args.split}") as progress:
        report = evaluate(predict, dataset, subject, baselines=baselines, notes=notes, progress=progress)
    used = ", ".join(str(size) for size, _ in sizes.most_common())
    report = replace(report, subject=replace(subject, size=used))
    print_report(report, console())
    if args.json is not None:
        write_json(args.json, report.to_dict())
        print(f"written: {args.json}")
    return 0


def check_labels(model: Path, labels: LabelMap, dataset: Dataset) -> None:
    """Check that the data set has the classes of the model.

    Raises:
        ModelError: the number, the names or the order of the classes differ.
    """
    from aaff.errors import ModelError

    ours, theirs = labels.names, dataset.labels.names
    if ours == theirs:
        return
    what = f"{model} has the {len(ours)} classes of {labels.name}, but {dataset.root} has the {len(theirs)} of "
    what += f"{dataset.labels.name}"
    if len(ours) == len(theirs):
        place = next(index for index, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        what += f", and id {place} is {ours[place]!r} in one but {theirs[place]!r} in the other"
    raise ModelError(f"{what}; choose a matching --protocol, or a model that was trained on these classes")


def baseline_rows(dataset: Dataset) -> tuple[tuple[Baseline, ...], tuple[str, ...]]:
    """The baseline rows, or a note that says why there are none."""
    from aaff.data import open_dataset
    from aaff.errors import AaffError
    from aaff.evaluation import learn_priors, score_baselines, training_split

    split = training_split(dataset.split)
    try:
        train = open_dataset(dataset.root, split, protocol=dataset.protocol, layout=dataset.layout)
        return score_baselines(learn_priors(train), dataset), ()
    except AaffError as error:  # the split itself can be scored even if the training split is missing or broken
        return (), (f"no baseline rows, since they need the split {split!r}: {error}",)
