"""``aaff bench``: measure how fast models run on this machine."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from aaff.bench.contenders import EngineName, Precision
from aaff.preprocess import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaff.bench.subjects import Subject
    from aaff.data.sample import Sample
    from aaff.labels import UInt8Array


@dataclass
class Args:
    """Compare models: end-to-end latency, latency of the network alone and throughput, per engine and precision.

    Models of one frame size are timed in alternation (see --together) on synthetic street scenes, and their ratios
    refer to the first row of that size. Keep the machine idle during the measurement. A model that cannot be exported
    or run is reported with the reason; the others are still measured.
    """

    models: tyro.conf.Positional[tuple[str, ...]]
    """Exported files (.onnx), checkpoints, run folders, or names of models and networks (see: aaff models).
    Checkpoints and names are exported first; a network without published weights is measured with random weights."""
    size: tuple[Size, ...] = ()
    """One or more frame sizes; default: each model's own."""
    engine: tuple[EngineName, ...] = ()
    """One or more engines; default: all that are installed."""
    precision: tuple[Precision, ...] = ()
    """One or more precisions; default: all that run here. int8-bf16 runs the layers that are not quantised in bf16."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    runs: int = 200
    """Timed calls per model."""
    minutes: float | None = None
    """Limit on the time spent timing, preparation excluded; slow models then get fewer calls."""
    throughput: bool = True
    """Also measure the throughput with several frames in flight."""
    together: int | None = None
    """How many models are timed in alternation; the first model is in every group, so ratios stay comparable.
    Default: all. Reduce it if the engines of all models do not fit into memory; large networks need gigabytes."""
    exports: Path | None = None
    """Keep exported files in this folder and reuse them next time.
    Empty the folder after changing the code of a network."""
    json: Path | None = None
    """Write the results to this JSON file."""


def run(args: Args) -> int:
    """Print and write the results; status 0, or 1 if a model could not be measured."""
    from aaff.bench.contenders import Contender, Failure, contenders, graphs_needed, plan
    from aaff.bench.speed import joined, measure_models
    from aaff.bench.subjects import Exporter, find_subject
    from aaff.cli.data_tables import reading
    from aaff.cli.outputs import check_json
    from aaff.errors import ModelError, OptionError
    from aaff.files import write_json
    from aaff.provenance import provenance

    _check(args)
    check_json(args.json)
    planned = plan(args.engine, args.precision)
    exporter = Exporter(scenes, graphs_needed(planned), args.exports)
    subjects = []
    for word in args.models:
        print(f"preparing {word}", file=sys.stderr, flush=True)
        subject = find_subject(word, args.size[0] if args.size else None, exporter)
        subjects += [subject.at(size) for size in args.size or (subject.card.size,)]
    sizes = tuple(dict.fromkeys(subject.card.size for subject in subjects))
    parts = [
        part
        for size in sizes
        for part in _parts([subject for subject in subjects if subject.card.size == size], args.together)
    ]
    models = sum(map(len, parts))
    measured: list[dict[str, Any]] = []
    failed: dict[tuple[Any, ...], Failure] = {}  # keyed by row, since the first model is in every part
    for part in parts:
        rows: list[Contender] = []  # of one part at a time, since the engines of large networks fill the memory
        size = part[0].card.size
        frame = drive(size, 1)[0]
        for subject in part:
            own = list(contenders(subject, planned, frame, args.threads, throughput=args.throughput))
            if not own:
                word, origin = subject.word, subject.origin
                raise OptionError(f"{word} ({origin}) runs in none of the requested engines and precisions")
            rows += [row for row in own if isinstance(row, Contender)]
            failed |= {(subject.word, size, row.engine, row.precision): row for row in own if isinstance(row, Failure)}
            if args.together is not None and not rows and isinstance(own[0], Failure):
                # the first model, which is the reference of all ratios
                raise ModelError(f"{subject.word}, the first model, {own[0].reason}; put another model first")
        if rows:
            seconds = None if args.minutes is None else 60 * args.minutes * len(part) / models
            with reading(f"measuring at {size}") as report:
                result = measure_models(
                    rows, drive, runs=args.runs, threads=args.threads, seconds=seconds, report=report
                )
            measured.append(result)
    if not measured:
        raise ModelError("; ".join(dict.fromkeys(f"{row.subject.word} {row.reason}" for row in failed.values())))
    result = joined(measured)
    result["failed"] = [
        {
            "model": row.subject.word,
            "network": row.subject.card.network,
            "engine": row.engine,
            "precision": row.precision,
            "size": str(row.subject.card.size),
            "reason": row.reason,
        }
        for row in failed.values()
    ]
    show(result)
    if args.json is not None:
        write_json(args.json, {**result, "provenance": provenance()})
        print(f"written: {args.json}")
    return 1 if failed else 0


def _check(args: Args) -> None:
    """Check the options before the models are prepared, which takes minutes."""
    from aaff.errors import OptionError
    from aaff.synthetic import check_size

    if not args.models:
        raise OptionError("aaff bench needs a model: an exported file, a checkpoint, or a name such as depthwise_aaff")
    if args.runs < 1:
        raise OptionError(f"--runs {args.runs} is too small; it must be at least 1")
    if args.together is not None and args.together < 2:
        raise OptionError(
            f"--together {args.together} is too small; it must be at least 2, the first model and another one"
        )
    if args.threads is not None and args.threads < 1:
        raise OptionError(f"--threads {args.threads} is too small; it must be at least 1 (default: all cores)")
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise OptionError(f"--minutes is {args.minutes}; it must be above 0")
    for size in args.size:
        check_size(size)


def _parts(subjects: Sequence[Subject], together: int | None) -> list[list[Subject]]:
    """Split the models of one size into groups that are measured in sequence; each starts with the first model."""
    first, rest = subjects[0], subjects[1:]
    step = len(subjects) if together is None else together - 1
    return [[first, *rest[start : start + step]] for start in range(0, max(1, len(rest)), step)]


def scenes(size: Size, count: int) -> list[Sample]:
    """The first frame of each of ``count`` synthetic drives."""
    from aaff.data.sample import Sample
    from aaff.synthetic import render

    rendered = (render(number, 0, size) for number in range(count))
    return [Sample(str(number), scene.image, scene.label) for number, scene in enumerate(rendered)]


def drive(size: Size, count: int) -> list[UInt8Array]:
    """``count`` frames of one synthetic drive, each uint8 RGB [H, W, 3]."""
    from aaff.synthetic import frames

    return [scene.image for scene in frames(0, count, size)]


def show(result: dict[str, Any]) -> None:
    """Print the rows as a table, with the notes needed to read it."""
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
        title=f"end-to-end latency, {processor_name()}, {rows[0]['threads']} threads, median of up to {result['runs']}",
        text_columns=4,
    )
    if result["peaks"]:
        rates = ", ".join(f"{p['engine']} {p['precision']} {p['gops']:.0f}" for p in result["peaks"])
        print(f"peak rate in billions of operations per second: {rates}")
    for origin in dict.fromkeys((row["model"], row["origin"]) for row in rows):
        print("{}: {}".format(*origin))
    for failure in result["failed"]:
        print("failed: {model}, {engine}, {precision}, {size}: {reason}".format(**failure))
    if note := result.get("note"):
        print(note)
