"""``aaff export``: write a self-contained .onnx file that runs without torch, after checking its predictions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.card import ModelCard
    from aaff.data.sample import Dataset
    from aaff.export.parity import Pair, Parity
    from aaff.labels import UInt8Array

SYNTHETIC = 16
"""Number of synthetic frames that an fp32 file is compared on when no data set is given."""


@dataclass
class Args:
    """Export a checkpoint to one .onnx file that takes frames and returns class maps, without PyTorch.

    The exported file is compared with the PyTorch network in OpenVINO and ONNX Runtime and is written only if it
    passes: in fp32, at least 99.9 % of the pixels have the same class; in int8, the mean IoU drops by at most half a
    point.

    With --card, add a model card to an .onnx file from elsewhere, so that aaff can run it.
    """

    model: tyro.conf.Positional[Path]
    """A checkpoint (.safetensors), a run folder, the name of published weights, or with --card an .onnx file.
    Of a run folder, the best checkpoint is used, otherwise the last."""
    out: Path | None = None
    """File to write; default: next to the checkpoint, such as best-int8.onnx."""
    precision: Literal["fp32", "int8"] = "fp32"
    """int8 is smaller and faster, most of all on CPUs with VNNI instructions; it needs --data."""
    size: Size | None = None
    """Default input size of the exported file; default: the training size."""
    confidence: bool = False
    """Add a second output with the confidence of every pixel; calibrated on --split if --data is given."""
    temperature: float | None = None
    """Softmax temperature of the confidence, instead of calibrating it.
    For a network trained on all labelled frames, use that of the same recipe trained without --split."""
    data: Path | None = None
    """Folder of the data set to compare on; without it, fp32 files are compared on synthetic street scenes."""
    split: str = "val"
    """Labelled split to compare on."""
    calibration_split: str = "train"
    """Split for the int8 calibration."""
    layout: str | None = None
    """Folder layout of the data set; default: detected."""
    json: Path | None = None
    """Also write the comparison to this JSON file; the exported file contains it in any case."""
    card: Path | None = None
    """JSON file with classes, colours and size, for an .onnx file from elsewhere."""
    force: bool = False
    """Write the file even if the comparison fails."""
    overwrite: bool = False
    """Replace an .onnx file that aaff did not write."""


def run(args: Args) -> int:
    """Write the file; status 0."""
    if args.card is not None:
        return _describe(args, args.card)
    from aaff.errors import ModelError, OptionError
    from aaff.export.calibration import calibrate
    from aaff.export.export import build, check, write
    from aaff.files import write_json
    from aaff.loading import CHECKPOINT, find_model
    from aaff.networks.engine import TorchEngine
    from aaff.networks.weights import load_checkpoint
    from aaff.provenance import file_hash
    from aaff.published import weights_folder
    from aaff.synthetic import check_size

    if args.temperature is not None and not args.confidence:
        raise OptionError("--temperature applies to the confidence only; add --confidence, or omit --temperature")
    source = find_model(args.model, engine="torch")
    if source.suffix.lower() != CHECKPOINT:
        raise OptionError(f"{source} is exported already; give its checkpoint, or add --card for a file from elsewhere")
    if args.precision == "int8" and args.data is None:
        raise OptionError(
            "int8 needs training frames for calibration and labelled frames for the comparison; give --data DIR "
            "(for a network trained on synthetic scenes: aaff data scenes DIR)"
        )
    # Next to its source, except for published weights: the package's own folder is never written to.
    place = Path() if source.parent == weights_folder() else source.parent
    out = _out(args, place / f"{source.stem}-{args.precision}.onnx")
    net, card = load_checkpoint(source)
    card = card if args.size is None else replace(card, size=args.size)
    if args.data is None:
        check_size(card.size)  # before the graph is built, which takes a minute
    pairs, what, frames = _frames(args, source, card)
    calibrated = None
    if args.temperature is not None:
        card = replace(card, temperature=args.temperature)
    elif args.confidence and args.data is not None:
        if card.trained_on(args.split):
            raise OptionError(
                f"{source} was trained on {args.split}, where it is overconfident; calibrate on another --split, or "
                "give --temperature"
            )
        calibrated = calibrate(TorchEngine(net, card), pairs)
        card = replace(card, temperature=calibrated.temperature)
        pairs, what, frames = _frames(args, source, card)  # again, since the iterator of frames is used up
        print(
            f"confidence: temperature {calibrated.temperature:g}, expected calibration error "
            f"{100 * calibrated.before:.1f} % → {100 * calibrated.after:.1f} % on {what}"
        )
    model = build(net, card, out, calibration=frames, confidence=args.confidence)
    parity = check(model, net, pairs, what)
    print_parity(parity)
    details = parity.to_dict() | {"checkpoint": file_hash(source), "precision": args.precision, "size": str(card.size)}
    if calibrated is not None:
        details["calibration"] = asdict(calibrated) | {"split": what}
    if args.json is not None:
        write_json(args.json, details)
    if not parity.passed and not args.force:
        raise ModelError(
            f"{out} was not written, because its predictions differ from those of {source}; --force writes it anyway"
        )
    written = write(model, details)
    print(
        f"written: {out} ({len(written.data) / 1e6:.1f} MB, {args.precision}, {card.size}"
        + ("" if parity.passed else "; it did NOT pass the comparison")
        + f"; weights: {card.licence})"
    )
    return 0


def print_parity(parity: Parity) -> None:
    """Print the comparison as a table."""
    from aaff.cli.console import print_table

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.2f}"

    rows: list[tuple[str, ...]] = [("torch", "fp32", "100.000", percent(parity.reference), "", "reference")]
    rows += [
        (
            row.engine,
            row.precision,
            f"{100 * row.agreement:.3f}",
            percent(row.miou),
            percent(row.loss),
            "passed" if row.passed else "FAILED",
        )
        for row in parity.rows
    ]
    title = f"compared on {parity.frames} frames: {parity.source}"
    print_table(("engine", "precision", "equal pixels %", "mean IoU %", "loss", ""), rows, title=title, text_columns=2)


def _out(args: Args, usual: Path) -> Path:
    from aaff.cli.outputs import check_json
    from aaff.errors import OptionError
    from aaff.files import check_writable
    from aaff.runtime.model_file import CARD

    out = args.out or usual
    if out.suffix.lower() != ".onnx" or out.is_dir():
        raise OptionError(f"--out {out} is not the name of an .onnx file; name one, such as {usual.name}")
    check_json(args.json, args.model, args.card, out)
    check_writable(out)
    if out.is_file():
        if os.path.realpath(out) == os.path.realpath(args.model):
            raise OptionError(f"--out {out} would overwrite the source model; name another file")
        if not args.overwrite and CARD.encode() not in out.read_bytes():
            raise OptionError(f"{out} exists and was not written by aaff; name another --out, or add --overwrite")
    return out


def _frames(args: Args, source: Path, card: ModelCard) -> tuple[Iterator[Pair], str, list[UInt8Array] | None]:
    """Frames to compare on, what they are, and those to calibrate on."""
    if args.data is None:
        from aaff.synthetic import render

        frames = ((render(drive=9, frame=25 * i, size=card.size).image, None) for i in range(SYNTHETIC))
        return frames, "synthetic street scenes (no --data)", None
    from aaff.cli.evaluate import check_labels
    from aaff.data import open_dataset
    from aaff.export.quantization import FRAMES
    from aaff.preprocess import resize_image

    root = args.data

    def opened(split: str) -> Dataset:
        dataset = open_dataset(root, split, protocol=card.protocol, layout=args.layout)
        check_labels(source, card.labels, dataset)
        return dataset

    compared = opened(args.split)
    pairs = ((sample.image, sample.label) for sample in compared)
    what = f"{compared.protocol} {args.split}"
    if args.precision == "fp32":
        return pairs, what, None
    calibration = opened(args.calibration_split)
    chosen = sorted({round(i * (len(calibration) - 1) / (FRAMES - 1)) for i in range(FRAMES)})  # evenly over the drives
    return pairs, what, [resize_image(calibration.image(i), card.size) for i in chosen]


def _describe(args: Args, card_file: Path) -> int:
    """Add a model card to an ONNX file from elsewhere, if its inputs and outputs are as required."""
    from aaff.card import ModelCard
    from aaff.errors import ModelError, OptionError
    from aaff.export.describe import describe_foreign
    from aaff.textfile import read_json

    unused = [
        f"--{f.name.replace('_', '-')}"
        for f in fields(args)
        if f.name not in ("model", "card", "out", "overwrite", "precision") and getattr(args, f.name) != f.default
    ]
    if unused:
        raise OptionError(f"with --card the file is not changed; leave out {', '.join(unused)}")
    card = ModelCard.from_dict(read_json(card_file, kind=ModelError), str(card_file))
    if not args.model.is_file():
        raise ModelError(f"there is no file {args.model}")
    out = _out(args, args.model.with_name(f"{args.model.stem}-aaff.onnx"))
    describe_foreign(args.model.read_bytes(), card, out, precision=args.precision)
    print(f"written: {out}")
    return 0
