"""``aaff models``: the networks with what they cost, or the layers of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """List the networks with parameters, multiply-accumulates (MACs), stride and paper, or show the layers of one."""

    name: tyro.conf.Positional[str] = "*"
    """A network, whose layers are then shown, or a pattern such as 'depthwise*'."""
    size: Size = Size(480, 360)
    """Frame size that the multiply-accumulates are counted for."""
    classes: int = 11
    """Number of classes; CamVid has 11, its raw labels 31 (the paper counts void too: 32)."""
    json: Path | None = None
    """Write the numbers here as JSON too."""


def run(args: Args) -> int:
    """Print the table; status 0."""
    from aaff.files import write_json
    from aaff.networks import create_model, list_models, model_info
    from aaff.networks.complexity import complexity

    if any(sign in args.name for sign in "*?["):
        names = list_models(args.name)
        if not names:
            raise OptionError(f"no network is called {args.name!r}; there are {', '.join(list_models())}")
    else:
        names = [model_info(args.name).name]
    counts = {name: complexity(create_model(name, args.classes), args.size) for name in names}
    if args.name in counts:
        _print_layers(args, counts[args.name])
    else:
        _print_list(args, counts)
    if args.json is not None:
        write_json(args.json, {name: _plain(args, name, count) for name, count in counts.items()})
        print(f"written: {args.json}")
    return 0


def _print_list(args: Args, counts: Mapping[str, Complexity]) -> None:
    from aaff.networks import model_info

    print_table(
        ("network", "what it is", "parameters", "MACs", "stride"),
        [
            (name, model_info(name).summary, count.parameters, count.macs, count.stride)
            for name, count in counts.items()
        ],
        title=f"{args.classes} classes, MACs of one {args.size} frame",
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
