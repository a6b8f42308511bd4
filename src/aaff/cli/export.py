"""``aaff export``: one self-contained file that runs without torch, written when its predictions are the network's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
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
"""Synthetic frames that a file in fp32 is compared on when there are no real ones."""


@dataclass
class Args:
    """Export a checkpoint as one .onnx file: frames in, class maps out, no torch needed.

    The file is compared with the PyTorch network in OpenVINO and ONNX Runtime, and written when it passes: in fp32
    99.9 % of the pixels get the same class; in int8 the mean IoU is at most half a point lower.

    With --card it describes an .onnx file that comes from elsewhere, so that aaff runs it.
    """

    model: tyro.conf.Positional[Path]
    """A checkpoint (.safetensors), the folder of a run (its best checkpoint, else its last), the name of published
    weights, or with --card an .onnx file."""
    out: Path | None = None
    """The file to write; default: beside the checkpoint, such as best-int8.onnx."""
    precision: Literal["fp32", "int8"] = "fp32"
    """int8 is smaller and about twice as fast; it needs --data."""
    size: Size | None = None
    """Size that the file resizes frames to unless it is told another one; default: the one it was trained at."""
    confidence: bool = False
    """Give a confidence for every pixel too, as a second output; calibrated on --split where --data is given."""
    temperature: float | None = None
    """Divide the logits by this before the confidence is taken, in place of calibrating it: for a network that was
    trained on all labelled frames, the temperature of the same recipe without --split."""
    data: Path | None = None
    """Folder of a data set to compare on; without it a file in fp32 is compared on synthetic street scenes."""
    split: str = "val"
    """The frames to compare on, with their labels."""
    calibration_split: str = "train"
    """The frames that int8 is calibrated on."""
    layout: str | None = None
    """Layout of the data set; default: detected."""
    json: Path | None = None
    """Write the comparison here too; the file carries it in any case."""
    card: Path | None = None
    """A JSON file with classes, colours and size, for an .onnx file that comes from elsewhere."""
    force: bool = False
    """Write the file even when the comparison fails."""
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
        raise OptionError("--temperature is that of the confidence; add --confidence, or leave it out")
    source = find_model(args.model, engine="torch")
    if source.suffix.lower() != CHECKPOINT:
        raise OptionError(
            f"{source} is exported already; name its checkpoint, or give --card for a file from elsewhere"
        )
    if args.precision == "int8" and args.data is None:
        raise OptionError(
            "int8 is calibrated on training frames and judged on labelled ones; give --data DIR "
            "(for a network trained on synthetic scenes: aaff data scenes DIR)"
        )
    # Beside its source; what is made of published weights is the user's, and the package stays as it is.
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
                f"{source} was trained on {args.split}, where it is surer of itself than elsewhere; calibrate on "
                "another --split, or give --temperature"
            )
        calibrated = calibrate(TorchEngine(net, card), pairs)
        card = replace(card, temperature=calibrated.temperature)
        pairs, what, frames = _frames(args, source, card)  # again: frames are read as they are needed
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
            f"{out} was not written, since its predictions differ from those of {source}; --force writes it anyway"
        )
    written = write(model, details)
    print(
        f"written: {out} ({len(written.data) / 1e6:.1f} MB, {args.precision}, {card.size}"
        + ("" if parity.passed else "; it did NOT pass the comparison")
        + f"; weights: {card.licence})"
    )
    return 0


def print_parity(parity: Parity) -> None:
    """The comparison as a table."""
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
            raise OptionError(f"--out {out} would overwrite the model it is made from; name another file")
        if not args.overwrite and CARD.encode() not in out.read_bytes():
            raise OptionError(f"{out} exists and was not written by aaff; name another --out, or add --overwrite")
    return out


def _frames(args: Args, source: Path, card: ModelCard) -> tuple[Iterator[Pair], str, list[UInt8Array] | None]:
    """Frames to compare on, what they are, and those to calibrate on."""
    if args.data is None:
        from aaff.synthetic import render

        frames = ((render(drive=9, frame=25 * i, size=card.size).image, None) for i in range(SYNTHETIC))
        return frames, "synthetic street scenes, for want of --data", None
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
    """Put a card into an ONNX file that comes from elsewhere, if it takes and gives what it should."""
    from aaff.card import ModelCard
    from aaff.errors import ModelError
    from aaff.export.describe import describe_foreign
    from aaff.textfile import read_json

    card = ModelCard.from_dict(read_json(card_file, kind=ModelError), str(card_file))
    if not args.model.is_file():
        raise ModelError(f"there is no file {args.model}")
    out = _out(args, args.model.with_name(f"{args.model.stem}-aaff.onnx"))
    describe_foreign(args.model.read_bytes(), card, out, precision=args.precision)
    print(f"written: {out}")
    return 0
