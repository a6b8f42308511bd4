"""``aaff models``: list ready-to-use models, trainable networks with their cost, or the layers of one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from aaff.cli.console import print_table
from aaff.errors import OptionError
from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.networks.complexity import Complexity


@dataclass
class Args:
    """List the ready-to-use models and the trainable networks, or show the layers of one network.

    Networks are listed with parameters, multiply-accumulates (MACs), output stride and paper; this needs PyTorch.
    """

    name: tyro.conf.Positional[str] = "*"
    """Name of a network, to show its layers, or a pattern such as 'depthwise*', to list the matching networks."""
    size: Size = Size(480, 360)
    """Frame size for counting MACs."""
    classes: int = 11
    """Number of classes: 11 for CamVid, 31 for its raw labels (32 in the paper, which counts void)."""
    json: Path | None = None
    """Also write the numbers to this JSON file."""


def run(args: Args) -> int:
    """Print the tables; status 0."""
    from aaff.cli.outputs import check_json
    from aaff.files import write_json

    check_json(args.json)
    pattern = any(sign in args.name for sign in "*?[")
    ready = _ready(args.name)
    if ready:
        _print_ready(ready)
    counts = _counts(args, optional=bool(ready))
    if not pattern and counts:
        _print_layers(args, counts[args.name])
    elif counts:
        _print_list(args, counts)
    if args.json is not None:
        write_json(args.json, {name: _plain(args, name, count) for name, count in counts.items()})
        print(f"written: {args.json}")
    return 0


def _ready(name: str) -> dict[str, Path]:
    """The files of the models that can be loaded by name."""
    from aaff.published import find_exported, find_published, list_exported, list_published

    found = {known: find_published(known) for known in list_published()}
    found |= {known: find_exported(known) for known in list_exported()}
    return {known: path for known, path in sorted(found.items()) if path is not None and fnmatchcase(known, name)}


def _print_ready(ready: Mapping[str, Path]) -> None:
    from aaff.errors import AaffError
    from aaff.loading import EXPORTED, read_card
    from aaff.runtime.model_file import read_model_file

    rows = []
    licences: dict[str, list[str]] = {}
    for name, path in ready.items():
        try:
            exported = read_model_file(path) if path.suffix == EXPORTED else None
            card = exported.card if exported else read_card(path)
        except AaffError as error:
            rows.append((name, path.suffix, "–", "–", "–", str(error)))
            continue
        score = exported.score if exported else card.score or {}
        miou = score.get("miou")
        of = f"{100 * miou:.1f} ({score.get('split')})" if isinstance(miou, float) else "–"
        runs = "everywhere" if exported else "needs torch"
        rows.append((name, card.protocol, str(card.size), of, f"{path.stat().st_size / 1e6:.1f}", runs))
        licences.setdefault(card.licence, []).append(name)
    columns = ("name", "classes", "size", "mean IoU %", "MB", "runs")
    print_table(columns, rows, title='Ready to use: aaff.load("NAME"), aaff predict --model NAME', text_columns=3)
    for licence, names in licences.items():
        print(f"licence of the weights of {', '.join(names)}: {licence}")


def _counts(args: Args, *, optional: bool) -> dict[str, Complexity]:
    """Parameters and MACs of the networks; without PyTorch, print a note instead if ``optional``."""
    from aaff.errors import missing_extra

    try:
        from aaff.networks import list_models, model_info
        from aaff.networks.complexity import count
    except ModuleNotFoundError as error:
        explained = missing_extra(error)
        if explained is None or not optional:
            raise
        print(f"\nTo list and train networks: {explained}")
        return {}
    if any(sign in args.name for sign in "*?["):
        names = list_models(args.name)
        if not names and not optional:
            raise OptionError(f"no network is called {args.name!r}; valid: {', '.join(list_models())}")
    elif optional and args.name not in list_models():
        from aaff.loading import find_model, read_card

        network = read_card(find_model(args.name)).network
        print(f"\n{args.name} is a trained {network}; its layers: aaff models {network}")
        names = []
    else:
        names = [model_info(args.name).name]
    return {name: count(name, args.classes, args.size) for name in names}


def _print_list(args: Args, counts: Mapping[str, Complexity]) -> None:
    from aaff.networks import model_info

    print_table(
        ("network", "what it is", "parameters", "MACs", "stride"),
        [
            (name, model_info(name).summary, count.parameters, count.macs, count.stride)
            for name, count in counts.items()
        ],
        title=f"Networks to train: aaff train --model NAME ({args.classes} classes, MACs of one {args.size} frame)",
        text_columns=2,
    )
    for paper in dict.fromkeys(model_info(name).paper for name in counts):
        print(f"{', '.join(name for name in counts if model_info(name).paper == paper)}: {paper}")


def _print_layers(args: Args, count: Complexity) -> None:
    from aaff.networks import model_info

    info = model_info(args.name)
    print_table(
        ("layer", "kind", "output", "parameters", "MACs"),
        [
            (layer.name, layer.kind, "×".join(map(str, layer.output)), layer.parameters, layer.macs)
            for layer in count.layers
        ],
        title=f"{args.name}: {info.summary}",
        text_columns=3,
        total=("all", f"{len(count.layers)} layers", "", count.parameters, count.macs),
    )
    print(f"{args.classes} classes, output [C, h, w] and MACs of one {args.size} frame")
    print(f"paper: {info.paper}")
    print("options: " + ", ".join(f"{name}={default!r}" for name, default in info.options.items()))


def _plain(args: Args, name: str, count: Complexity) -> dict[str, Any]:
    from aaff.networks import model_info

    return {
        "parameters": count.parameters,
        "macs": count.macs,
        "size": str(args.size),
        "classes": args.classes,
        "stride": count.stride,
        "paper": model_info(name).paper,
        "options": dict(model_info(name).options),
    }
