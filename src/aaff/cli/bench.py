"""``aaff bench``: how fast models are on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from aaff.bench.contenders import EngineName, Precision
from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.data.sample import Sample
    from aaff.labels import UInt8Array


@dataclass
class Args:
    """Measure models side by side: end-to-end latency and the network alone, in every engine and precision.

    Ratios are to the first row. All rows take turns in one run, on synthetic street scenes. Leave the machine alone
    meanwhile.
    """

    models: tyro.conf.Positional[tuple[str, ...]]
    """Exported files (.onnx), checkpoints, folders of runs, or names of networks (see: aaff models). Checkpoints and
    names are exported for the measurement; a name without published weights is measured untrained."""
    size: Size | None = None
    """Size of the frames; default: each model's own."""
    engine: tuple[EngineName, ...] = ()
    """One or several; default: all that are installed."""
    precision: tuple[Precision, ...] = ()
    """One or several; default: all that run here. int8-bf16 computes in bf16 what is not quantised."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    runs: int = 200
    """Calls of each model."""
    json: Path | None = None
    """Write the figures here."""


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.bench.contenders import contenders, graphs_needed, plan
    from aaff.bench.speed import measure_models
    from aaff.bench.subjects import find_subject
    from aaff.cli.data_tables import reading
    from aaff.cli.outputs import check_json
    from aaff.errors import OptionError
    from aaff.files import write_json
    from aaff.provenance import provenance
    from aaff.synthetic import check_size

    if not args.models:
        raise OptionError("aaff bench needs a model: an exported file, a checkpoint, or a name such as depthwise_aaff")
    if args.runs < 1:
        raise OptionError(f"--runs {args.runs} measures nothing; give 1 or more")
    if args.threads is not None and args.threads < 1:
        raise OptionError(f"--threads {args.threads} cannot run a model; give 1 or more, or leave it out for all cores")
    if args.size is not None:
        check_size(args.size)  # before the models are made ready, which takes minutes
    check_json(args.json)
    planned = plan(args.engine, args.precision)
    rows = []
    for word in args.models:
        print(f"preparing {word}", file=sys.stderr, flush=True)
        subject = find_subject(word, args.size, graphs_needed(planned), scenes)
        own = list(contenders(subject, planned, drive(subject.card.size, 1)[0], args.threads))
        if not own:
            raise OptionError(f"{word} ({subject.origin}) runs in none of the engines and precisions asked for")
        rows += own
    with reading("measuring") as progress:
        result = measure_models(rows, drive, runs=args.runs, threads=args.threads, report=progress)
    show(result)
    if args.json is not None:
        write_json(args.json, {**result, "provenance": provenance()})
        print(f"written: {args.json}")
    return 0


def scenes(size: Size, count: int) -> list[Sample]:
    """The first frame of each of so many synthetic drives."""
    from aaff.data.sample import Sample
    from aaff.synthetic import render

    rendered = (render(number, 0, size) for number in range(count))
    return [Sample(str(number), scene.image, scene.label) for number, scene in enumerate(rendered)]


def drive(size: Size, count: int) -> list[UInt8Array]:
    """So many frames of one synthetic drive."""
    from aaff.synthetic import frames

    return [scene.image for scene in frames(0, count, size)]


def show(result: dict[str, Any]) -> None:
    """Print the rows as a table, and what else must be known to read it."""
    from aaff.cli.console import print_table
    from aaff.provenance import processor_name

    rows = result["rows"]
    columns = "network,engine,precision,size,ms,p95,fps,ratio,alone ms,overhead,of peak,several at once fps".split(",")
    print_table(
        columns,
        [
            [
                row["network"],
                row["engine"],
                row["precision"],
                row["size"],
                f"{row['frame_to_map']['median_ms']:.1f}",
                f"{row['frame_to_map']['p95_ms']:.1f}",
                f"{row['frame_to_map']['fps']:.1f}",
                f"{row['ratio']:.2f}",
                f"{row['network_alone']['median_ms']:.1f}" if row["network_alone"] else "–",
                "–" if row["overhead"] is None else f"{row['overhead']:.1%}",
                "–" if row["share_of_peak"] is None else f"{row['share_of_peak']:.0%}",
                f"{row['throughput']['fps']:.1f}" if row["throughput"] else "–",
            ]
            for row in rows
        ],
        title=f"end-to-end latency, {processor_name()}, {rows[0]['threads']} threads, median of {result['runs']}",
        text_columns=4,
    )
    if result["peaks"]:
        rates = ", ".join(f"{p['engine']} {p['precision']} {p['gops']:.0f}" for p in result["peaks"])
        print(f"peak in billions of operations a second: {rates}")
    for origin in dict.fromkeys((row["model"], row["origin"]) for row in rows):
        print("{}: {}".format(*origin))
    if note := result.get("note"):
        print(note)
