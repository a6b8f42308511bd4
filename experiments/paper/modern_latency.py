"""``python -m experiments.paper.modern_latency``: end-to-end latency in int8 of every variant of the modern network.

All in one run that takes turns, exported as ``aaff bench`` exports them.  Weights are random: latency does not depend
on them.  Leave the machine alone meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aaff.preprocess import Size
from experiments.runner.command import ROOT


@dataclass(kw_only=True)
class Args:
    """Measure the variants of the modern network side by side, in int8."""

    json: Path = ROOT / "results" / "experiment" / "lite_latency.json"
    """Write the figures here; the report shows them."""
    size: Size = Size(480, 360)
    """Size of the frames."""
    only: tuple[str, ...] = ()
    """These variants alone."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    runs: int = 200
    """Calls of each variant."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m experiments.paper.modern_latency")))


def run(args: Args) -> int:
    """Print and write the latencies; status 0."""
    from aaff.bench.contenders import Contender, Failure, contenders, plan
    from aaff.bench.speed import measure_models
    from aaff.bench.subjects import Exporter, find_subject
    from aaff.cli.bench import drive, scenes
    from aaff.errors import ModelError, UnknownNameError
    from aaff.files import write_json
    from aaff.plugins import import_module
    from aaff.provenance import provenance
    from experiments.paper.modern import ABLATION, COMPARISON, MODULE

    import_module(MODULE)
    variants = {variant.name: variant for variant in (*COMPARISON, *ABLATION)}
    for name in args.only:
        if name not in variants:
            raise UnknownNameError("variant", name, variants)
    planned, names = plan(("openvino",), ("int8",)), []
    rows: list[Contender] = []
    with TemporaryDirectory() as folder:
        for name in args.only or variants:
            path = Path(folder) / f"{name}.safetensors"
            _write_untrained(path, variants[name].model, variants[name].options, args.size)
            subject = find_subject(str(path), args.size, Exporter(scenes, ["int8"]))
            for made in contenders(subject, planned, drive(args.size, 1)[0], args.threads):
                if isinstance(made, Failure):
                    raise ModelError(f"{name} {made.reason}")
                rows.append(made)
            names.append(name)
        measured = measure_models(rows, drive, runs=args.runs, threads=args.threads)["rows"]
    found = [
        {"variant": name, "size": row["size"], "threads": row["threads"], "macs": row["macs"], **row["frame_to_map"]}
        for name, row in zip(names, measured, strict=True)
    ]
    for row in found:
        print(f"{row['variant']}: {row['median_ms']:.1f} ms")
    write_json(args.json, {"engine": "openvino", "precision": "int8", "rows": found, "provenance": provenance()})
    print(f"written: {args.json}")
    return 0


def _write_untrained(path: Path, model: str, options: tuple[str, ...], size: Size) -> None:
    """A checkpoint with random weights, whose logits are fitted so that int8 has something to keep."""
    import torch

    from aaff.bench.untrained import fit_logits
    from aaff.card import ModelCard
    from aaff.cli.bench import scenes
    from aaff.labels import CAMVID11
    from aaff.networks import create_model
    from aaff.networks.weights import save_checkpoint
    from aaff.training.recipe import Recipe

    torch.manual_seed(0)
    chosen = Recipe(options=options).network_options()
    chosen.pop("auxiliary", None)
    net = create_model(model, CAMVID11.num_classes, **chosen).eval()
    licence = "none: not trained, for measurements of speed"
    card = ModelCard(model, chosen, CAMVID11, "camvid11", size, licence=licence)
    fit_logits(net, card, scenes(size, 2))
    save_checkpoint(path, net.state_dict(), card)


if __name__ == "__main__":
    sys.exit(main())
