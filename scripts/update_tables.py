"""Insert the figures of ``results/`` into README and docs, between ``<!-- numbers: NAME -->`` and ``<!-- end -->``.

Measured numbers are never typed by hand.  Run this after a measurement, and commit both:

    make tables

``tests/test_update_tables.py`` fails if a page differs from its results.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

from aaff.files import write_text
from experiments.paper.references import PAPER_TABLE
from scripts import front_tables, model_tables, network_tables
from scripts.tables import ROOT, percent, read, source, table

PAGES = (
    "README.md",
    "docs/benchmarks.md",
    "docs/training.md",
    "docs/deployment.md",
    "docs/models.md",
    "docs/networks.md",
    "docs/server.md",
)
BLOCK = re.compile(r"(?P<open><!-- numbers: (?P<name>[\w-]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL)


def score() -> str:
    """The score of the scratch recipe beside the baselines."""
    found = read("scratch_depthwise_aaff_val")
    rows = [[f"`{found['model']}`, `--recipe scratch`, epoch {found['details']['epoch']} of 100, chosen on val", found]]
    rows += [[name, baseline] for name, baseline in found["baselines"].items()]
    keys = ("miou", "pixel_accuracy", "mean_class_accuracy")
    told = table(
        ["CamVid val, 101 frames, 480×360", "mean IoU %", "pixel accuracy %", "mean class accuracy %"],
        [[name, *(percent(values[key]) for key in keys)] for name, values in rows],
    )
    classes = sorted(found["per_class"].items(), key=lambda item: item[1]["iou"])
    weak = ", ".join(f"{name} {percent(values['iou'], 0)} %" for name, values in classes[:3])
    strong = ", ".join(f"{name} {percent(values['iou'], 0)} %" for name, values in classes[:-4:-1])
    return told + f"\nBest classes by IoU: {strong}; weakest: {weak}.\n" + source("scratch_depthwise_aaff_val")


def training_speed() -> str:
    """The sentence on the engine's speed."""
    found = read("bench_train")
    loops, ratio = found["loops"], found["ratios"]["engine over plain loop"]
    engine, plain = loops["this engine"], loops["plain PyTorch loop"]
    return (
        f"On two cores, `{found['model']}` trains at {engine['images_a_second']:.1f} images per second "
        f"({found['size']}, batches of {found['batch']}), {ratio:.2f} times the {plain['images_a_second']:.1f} of a "
        "plain PyTorch loop (`results/bench_train.json`).\n"
    )


def training_loops() -> str:
    """The loops of ``python -m benchmarks.training``."""
    found = read("bench_train")
    columns = ["loop", "precision", "s/step", "images/s", "data", "forward", "loss", "backward", "optimiser"]
    parts = ("data", "forward", "loss", "backward", "optimizer")
    rows = [
        [
            name,
            loop["precision"],
            f"{loop['seconds_a_step']:.3f}",
            f"{loop['images_a_second']:.2f}",
            *(f"{percent(loop['share'][part])} %" for part in parts),
            f"{percent(loop['share_of_peak'], 0)} %",
            f"{loop['memory_gib']:.2f} GiB",
        ]
        for name, loop in found["loops"].items()
    ]
    peak, ratios = found["arithmetic_peak_gflops"], found["ratios"]
    return (
        table([*columns, "share of peak", "memory"], rows)
        + f"\nThe engine is {ratios['engine over plain loop']:.2f} times as fast as the plain loop, and "
        f"{ratios['engine over resident batch']:.2f} times as fast as with one resident batch, which needs no data "
        f"loading (medians of the ratios within {found['rounds']} rounds).\nThe peak is what the same threads reach on "
        f"a large convolution or matrix product in the same run: {peak['fp32']:.0f} GFLOP/s in float32, "
        f"{peak['bf16']:.0f} in bfloat16.\n" + source("bench_train")
    )


def training_intel() -> str:
    """The engine where bfloat16 is the slower precision."""
    found = read("bench_train_intel")
    engine, ratio = found["loops"]["this engine"], found["ratios"]["engine over plain loop"]
    measures = {row["without"]: row["times_as_long"] for row in found["measures"]}
    return (
        "On Intel's AVX-512 without AMX, where bfloat16 is slower than float32, the engine uses "
        f"{engine['precision']}: {engine['images_a_second']:.2f} images/s, {ratio:.2f} times the plain loop. There, a "
        f"step takes {measures['fp32']:.2f} times as long in bfloat16, and {measures['winograd']:.2f} times as long "
        "without Winograd convolutions.\n" + source("bench_train_intel")
    )


def training_measures() -> str:
    """What each measure of the engine brings."""
    names = {
        "bf16": "bf16 (using float32 with Winograd convolutions instead)",
        "channels-last": "channels-last memory",
        "native-logits loss": "the loss from native logits, strip by strip",
        "kept memory": "freed memory kept for the next step",
        "strided": "the backward pass of strided depthwise convolutions",
        "fused optimizer": "the fused optimiser",
        "cache": "decoded frames kept in memory",
        "winograd": "Winograd convolutions (both in float32)",
    }
    found = {row["without"]: row["times_as_long"] for row in read("bench_train")["measures"]}
    return table(["without", "a step takes"], [[told, f"{found[key]:.2f} × as long"] for key, told in names.items()])


def side_by_side() -> str:
    """Two runs at once against one."""
    found = read("bench_train")["side_by_side"]
    return (
        f"Two concurrent runs with one thread each do {found['ratio']:.2f} times the work of one run with two threads "
        f"({found['images_a_second_together']:.2f} images/s together, against "
        f"{found['images_a_second_one_run']:.2f}).\n"
        "If you have several trainings to run, as in `python -m experiments.paper`, run them this way.\n"
    )


def speed(name: str) -> str:
    """The four networks in OpenVINO at one size: milliseconds, and frames per second as ratios beside the paper's."""
    found = {(row["network"], row["precision"]): row for row in read(name)["rows"] if row["engine"] == "openvino"}
    precisions = ("fp32", "bf16", "int8")
    first = next(iter(PAPER_TABLE))

    def ratio(network: str, precision: str) -> str:
        ours, other = (found[n, precision]["frame_to_map"]["median_ms"] for n in (network, first))
        return f"{other / ours:.2f}"

    rows = [
        [
            f"`{network}`",
            *(f"{found[network, p]['frame_to_map']['median_ms']:.1f} ms" for p in precisions),
            f"{found[network, 'int8']['frame_to_map']['fps']:.0f}",
            *(ratio(network, p) for p in precisions),
            f"{paper.fps / PAPER_TABLE[first].fps:.2f}",
        ]
        for network, paper in PAPER_TABLE.items()
    ]
    size = found[first, "fp32"]["size"].replace("x", "×")
    ratios = [f"fps ratio, {p}" for p in precisions]
    return table([f"end-to-end latency, {size}", *precisions, "fps, int8", *ratios, "the paper's"], rows) + source(name)


def engines(name: str) -> str:
    """One trained network in every engine and precision."""
    found = read(name)
    titles = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "PyTorch"}
    rows = []
    for row in found["rows"]:
        alone, peak = row.get("network_alone"), row.get("share_of_peak")
        rows.append(
            [
                f"{titles[row['engine']]}, {row['precision']}",
                f"{row['frame_to_map']['median_ms']:.1f} ms",
                f"{row['frame_to_map']['p95_ms']:.1f} ms",
                f"{alone['median_ms']:.1f} ms" if alone else "–",
                f"{percent(row['overhead'])} %" if alone else "–",
                f"{row['throughput']['fps']:.0f}" if row.get("throughput") else "–",
                f"{percent(peak, 0)} %" if peak else "–",
                f"{row['ratio']:.2f}",
            ]
        )
    columns = [
        "end-to-end latency",
        "p95",
        "network alone",
        "overhead",
        "throughput, fps",
        "share of peak",
        "ratio",
    ]
    return table([f"`{found['rows'][0]['network']}`, 480×360", *columns], rows) + source(name)


def parity() -> str:
    """What the gate of the export found."""
    titles = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
    reports = {precision: read(f"export_depthwise_aaff_{precision}") for precision in ("fp32", "int8")}
    torch = reports["fp32"]["torch_fp32_miou"]
    rows = [["PyTorch, fp32", "", percent(torch, 2), ""]]
    rows += [
        [
            f"{titles[row['engine']]}, {row['precision']}",
            percent(row["agreement"], 3),
            percent(row["miou"], 2),
            f"{0 - 100 * row['loss']:+.2f}",
        ]
        for report in reports.values()
        for row in report["rows"]
    ]
    frames = reports["fp32"]["frames"]
    told = table([f"CamVid val, {frames} frames", "identical pixels %", "mean IoU %", "difference"], rows)
    return told + source(*(f"export_depthwise_aaff_{precision}" for precision in reports))


def answer() -> str:
    """The paired differences of the experiment with their intervals and verdicts, seeds on val and drives apart."""
    found = read("experiment/answer")["comparisons"]
    rows = [
        ("`depthwise_aaff` − `depthwise_bisenet`", "design"),
        ("`depthwise_aaff` − `bisenet` (the paper's claim)", "claim"),
        ("`depthwise_aaff` − `depthwise_bisenet` widened to the same cost", "price"),
        ("`depthwise_aaff` − the same without gates", "attention"),
        ("`bisenet` − `depthwise_bisenet`", "depthwise"),
    ]
    runs = [max(len(c["differences"]) for c in found[group].values()) for group in ("seeds", "drives")]
    columns = ["mean IoU, points", f"CamVid val, {runs[0]} seeds", f"held-out drive, {runs[1]} drives"]
    return table(columns, [[title, *(found[g][key]["told"] for g in ("seeds", "drives"))] for title, key in rows])


def video() -> str:
    """From video file to video file, and memory over a long one."""
    found, street, long = read("video_speed"), read("video_speed_val"), read("video_memory")
    return (
        f"A video of {found['end_to_end']['frames']} synthetic frames at {found['model_size']} is decoded, segmented, "
        f"overlaid and written as H.264 at {found['end_to_end']['fps']:.1f} frames per second on two cores, "
        f"{found['ratio']:.2f} times the rate of segmenting its frames in memory (`{found['model']}`, "
        f"{found['precision']}; `results/video_speed.json`). A {street['video']['seconds']:.0f} s video of CamVid's "
        f"val frames reaches {street['end_to_end']['fps']:.1f} frames per second, {street['ratio']:.2f} times its rate "
        "in memory (`results/video_speed_val.json`).\n"
        f"Over {long['frames']:,} frames, memory use goes from {long['first_mib']:.0f} to {long['last_mib']:.0f} MiB: "
        f"{long['growth_mib_per_1000_frames']:+.2f} MiB per 1000 frames (`results/video_memory.json`).\n"
    )


def install() -> str:
    """What the core install brings."""
    found = read("core_install")
    heavy = sorted(found["packages"].items(), key=lambda item: -item[1]["megabytes"])
    told = ", ".join(f"{name} {about['megabytes']:.0f}" for name, about in heavy[:6])
    start = found["start_to_first_map_seconds"]
    return (
        f"`pip install .` without extras takes {found['megabytes']:.0f} MB (10⁶ bytes) in {len(found['packages'])} "
        f"packages: {told}, the rest under {heavy[6][1]['megabytes']:.0f} each. `import aaff` takes "
        f"{found['import_aaff_seconds']:.2f} s. From the start of the process to the first class map takes "
        f"{start['first']:.1f} s the first time and {start['later']:.1f} s later (`results/core_install.json`).\n"
    )


def scenes() -> str:
    """How hard the synthetic data set is."""
    found = read("scenes_difficulty")
    presence = found["class_presence"]
    return (
        f"On synthetic streets, a position prior scores {percent(found['position_prior']['miou'])} % mean IoU, a "
        f"linear classifier on colour and position {percent(found['linear_classifier']['miou'])} %, and "
        f"`depthwise_aaff` {percent(found['network']['miou'])} % after {found['network']['minutes']:.0f} minutes of "
        f"training. Every class is in at least {percent(min(presence.values()), 0)} % of the frames "
        "(`results/scenes_difficulty.json`).\n"
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "score": score,
    "speed-480x360": lambda: speed("bench_480x360"),
    "speed-800x640": lambda: speed("bench_800x640"),
    "engines": lambda: engines("bench_engines_480x360"),
    "engines-intel": lambda: engines("bench_engines_480x360_intel"),
    "parity": parity,
    "answer": answer,
    "models": front_tables.models,
    "networks": front_tables.networks,
    "video": video,
    "install": install,
    "training-speed": training_speed,
    "training-loops": training_loops,
    "training-measures": training_measures,
    "training-intel": training_intel,
    "side-by-side": side_by_side,
    "scenes": scenes,
    "network-counts": network_tables.counts,
    "network-speed": network_tables.speed,
    "network-exports": network_tables.exports,
    "street-scores": model_tables.scores,
    "street-robustness": model_tables.robustness,
    "street-speed": model_tables.speed,
    "street-aspect": model_tables.aspect,
    "street-input-size": model_tables.input_size,
    "street-confidence": model_tables.confidence,
    "street-stages": lambda: model_tables.training("street"),
    "street-seen-frames": model_tables.seen_frames,
    "street-trials": lambda: model_tables.trials("street"),
    "street-pole-offset": model_tables.pole_offset,
    "camvid-scores": model_tables.camvid,
    "camvid-stages": lambda: model_tables.training("camvid_lite0"),
    "camvid-trials": lambda: model_tables.trials("camvid_lite0"),
    "camvid-drives": model_tables.held_out,
    "serving": model_tables.serving,
}


def render(text: str) -> str:
    """A page with every block made anew.

    Raises:
        KeyError: a block has a name that is not in ``BLOCKS``.
    """
    return BLOCK.sub(lambda found: f"{found['open']}{BLOCKS[found['name']]()}{found['close']}", text)


def main() -> int:
    """Write the pages that have changed and name them."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for page in PAGES:
        path = ROOT / page
        old = path.read_text(encoding="utf-8")
        new = render(old)
        if new != old:
            write_text(path, new)
            print(f"written: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
