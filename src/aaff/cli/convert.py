"""``aaff convert``: convert weights trained by another project into a checkpoint of aaff."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.networks.convert import Report
    from aaff.preprocess import Normalization

_LISTED = 5
"""How many names of each kind the report shows."""


@dataclass
class Args:
    """Convert weights trained by another project into a checkpoint.

    Supported are the releases of BiSeNet and BiSeNetV2 (CoinCheung), STDC-Seg, DDRNet, PIDNet and PP-LiteSeg. No code
    in the file is executed. The conversion fails if any weight of the network is missing.
    """

    weights: tyro.conf.Positional[Path]
    """The weights: a .pth, .pt or .safetensors file."""
    network: str
    """Network that the weights belong to (see: aaff models)."""
    labels: str
    """Classes of the weights: camvid11, camvid32, cityscapes19, kitti or bdd100k."""
    out: Path | None = None
    """Checkpoint to write; default: the name of the weights file with .safetensors, in the current folder."""
    options: tuple[str, ...] = ()
    """Options of the network as NAME=VALUE, such as width=0.5."""
    size: Size = Size(1024, 512)
    """Frame size to state in the model card; the weights themselves run at any size."""
    mean: tuple[float, float, float] | None = None
    """Mean of red, green and blue used in training, for values in [0, 1]; default: that of the other project."""
    std: tuple[float, float, float] | None = None
    """Standard deviation of red, green and blue, for values in [0, 1]; default: that of the other project."""
    licence: str = "unspecified"
    """Licence of the weights, as stated by their authors."""
    overwrite: bool = False
    """Replace an existing file."""


def run(args: Args) -> int:
    """Print which weights match and write the checkpoint; status 0."""
    from aaff.card import ModelCard
    from aaff.errors import ModelError
    from aaff.labels import find_labels
    from aaff.networks.convert import explain, fit, network_options, read_weights
    from aaff.networks.registry import model_info
    from aaff.networks.weights import save_checkpoint
    from aaff.provenance import file_hash, provenance
    from aaff.training.recipe import Recipe

    labels, name = find_labels(args.labels), model_info(args.network).name
    options = Recipe(options=args.options).network_options()
    out = _out(args)
    theirs = read_weights(args.weights)
    state, report = fit(theirs, name, labels.num_classes, options)
    _print(report)
    if not report.complete:
        raise ModelError(explain(report, str(args.weights), labels.num_classes, theirs))
    layout = report.layout
    card = ModelCard(
        network=name,
        options=network_options(layout, options),
        labels=labels,
        protocol=labels.name,
        size=args.size,
        normalization=_normalization(args, layout.normalization),
        licence=args.licence,
        provenance=provenance() | {"converted": file_hash(args.weights), "layout": layout.source},
    )
    save_checkpoint(out, state, card)
    print(f"written: {out} ({name}, {labels.name}; weights: {card.licence})")
    return 0


def _out(args: Args) -> Path:
    from aaff.errors import OptionError

    out = args.out or Path(f"{args.weights.stem}.safetensors")
    if out.suffix.lower() != ".safetensors" or out.is_dir():
        raise OptionError(f"--out {out} is not the name of a .safetensors file; name one")
    if out.exists() and (out.resolve() == args.weights.resolve() or not args.overwrite):
        raise OptionError(
            f"{out} exists; name another --out, or add --overwrite to replace a file that is not the input"
        )
    return out


def _normalization(args: Args, usual: Normalization) -> Normalization:
    from aaff.errors import OptionError
    from aaff.preprocess import Normalization

    for flag, values, lowest in (("mean", args.mean, 0.0), ("std", args.std, 1e-6)):
        if values is not None and not all(lowest <= value <= 1 for value in values):
            raise OptionError(f"--{flag} is {list(values)}; the values must be in [0, 1], such as 0.485 0.456 0.406")

    def scaled(values: tuple[float, float, float]) -> tuple[float, float, float]:
        red, green, blue = values
        return 255 * red, 255 * green, 255 * blue

    mean = usual.mean if args.mean is None else scaled(args.mean)
    return Normalization(mean, usual.std if args.std is None else scaled(args.std))


def _print(report: Report) -> None:
    from aaff.cli.console import print_table

    different = [f"{name} {list(there)}, not {list(here)}" for name, there, here in report.different]
    rows = [
        ("found", report.matched),
        ("missing", report.missing),
        ("different shape", different),
        ("unexpected", report.unexpected),
        ("not needed", report.ignored),
    ]
    print_table(
        ("weights", "examples", "number"),
        [(what, ", ".join(names[:_LISTED] if what != "found" else names[:1]), len(names)) for what, names in rows],
        title=f"{report.layout.source} → {report.layout.network}"
        + (f", names without {report.prefix!r}" if report.prefix else ""),
        text_columns=2,
    )
