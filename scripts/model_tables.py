"""Tables of the street model and the CamVid model for ``docs/models.md``, made from their result files."""

from __future__ import annotations

import textwrap
from typing import Any

from experiments.paper.analysis import by_drive
from experiments.paper.results import load_results
from scripts.tables import ROOT, model_name, percent, read, source, table
from scripts.training_history import THIN, changes


def scores() -> str:
    """Means on both validation splits, then IoU of each class."""
    camvid, streets = read("street_camvid_val"), read("street_streets_val")
    prior = camvid["baselines"]["position prior"]
    keys = ("miou", "pixel_accuracy", "mean_class_accuracy")
    rows = [
        ["`street`, CamVid val (101 frames, camvid11)", *(percent(camvid[key]) for key in keys)],
        ["position prior, CamVid val", *(percent(prior[key]) for key in keys)],
        [f"`street`, photos of other towns ({streets['images']}, streets6)", *(percent(streets[key]) for key in keys)],
    ]
    text = table(["int8, OpenVINO", "mean IoU %", "pixel accuracy %", "mean class accuracy %"], rows)
    classes = [[name, _iou(camvid, name), _iou(streets, name)] for name in camvid["per_class"]]
    text += "\n" + table(["class", "IoU %, CamVid val", "IoU %, other towns"], classes)
    return text + source("street_camvid_val", "street_streets_val")


def camvid() -> str:
    """The CamVid model on val: means, then IoU of each class."""
    found, exported = read("camvid_lite0_camvid_val"), read("shipped_camvid_lite0_int8")
    means = [percent(found[key]) for key in ("miou", "pixel_accuracy", "mean_class_accuracy")]
    rows = [
        ["`camvid_lite0`, int8", *means],
        ["the checkpoint in fp32", percent(exported["torch_fp32_miou"]), "", ""],
    ]
    columns = ["CamVid val (101 frames, camvid11)", "mean IoU %", "pixel accuracy %", "mean class accuracy %"]
    text = table(columns, rows)
    text += "\n" + table(["class", "IoU %, int8"], [[name, _iou(found, name)] for name in found["per_class"]])
    return text + source("camvid_lite0_camvid_val", "shipped_camvid_lite0_int8")


def held_out() -> str:
    """Each drive of CamVid held out once: the recipe of the CamVid model beside the paper's network."""
    results = load_results(ROOT / "results" / "experiment")
    scores = [by_drive(results.of("drives", "depthwise_aaff")), by_drive(results.of("modern-drives", "aaff_lite0"))]
    folds = sorted(scores[1])
    rows = [[fold, *(percent(of[fold]) for of in scores)] for fold in folds]
    rows.append(["mean", *(percent(sum(of[fold] for fold in folds) / len(folds)) for of in scores)])
    text = table(["held-out drive, 15 epochs", "`depthwise_aaff`, mean IoU %", "`aaff_lite0`, mean IoU %"], rows)
    text += "\n(`results/experiment/runs/drives` and `modern-drives`.)\n"
    strong = read("camvid_lite0_strong_0006R0")
    return text + (
        f"\nWith the stronger colour changes of recipe `streets`, `aaff_lite0` scores {percent(strong['miou'])} % on "
        "0006R0 (`results/camvid_lite0_strong_0006R0.json`), also from one seed.\n"
    )


def _iou(found: dict[str, Any], name: str) -> str:
    value = found["per_class"].get(name, {}).get("iou")
    return "–" if value is None else percent(value)


def training(name: str) -> str:
    """The stages of a model's training: what changed in the recipe, and what came of it."""
    stages = read(f"{name}_training")["stages"]
    rows = []
    for number, (stage, changed) in enumerate(zip(stages, changes(stages), strict=True), 1):
        last = stage["epochs"][-1]
        scores = [last["miou"], *(last["iou"][thin] for thin in THIN)] if "miou" in last else []
        cells = [*map(percent, scores), *["–"] * (1 + len(THIN) - len(scores))]
        rows.append([str(number), _changed(changed) or "–", str(last["step"]), *cells])
    columns = ["stage", "changes to the recipe", "steps", "mean IoU %", *THIN]
    return table(columns, rows) + source(f"{name}_training")


def trials(name: str) -> str:
    """Short runs from the published weights: what each one changed, and what came of it."""
    control, *others = found = read(f"{name}_trials")["trials"]
    told = ["none", *(_changed(changes([control, trial])[1]) for trial in others)]
    rows = []
    for what, trial in zip(told, found, strict=True):
        last = trial["epochs"][-1]
        scores = map(percent, (last["miou"], *(last["iou"][thin] for thin in THIN)))
        rows.append([what, str(last["step"]), *scores])
    columns = ["change", "steps", "mean IoU %", *THIN]
    return table(columns, rows) + source(f"{name}_trials")


def _changed(options: dict[str, Any]) -> str:
    return ", ".join(f"`{option}` {_option(value)}" for option, value in options.items())


def _option(value: object) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def robustness() -> str:
    """Each condition with its loss, and how much the map flickers."""
    found = read("street_robustness")
    rows = [
        [name, percent(about["miou"]), percent(about["pixel_accuracy"]), f"{100 * about['loss']:+.1f}"]
        for name, about in found["conditions"].items()
    ]
    text = table(["condition", "mean IoU %", "pixel accuracy %", "loss"], rows)
    if found["flicker"]:
        text += (
            f"\nFrom one frame to the next, {percent(found['flicker']['prediction'])} % of the labelled pixels change "
            f"their predicted class; in the ground truth, {percent(found['flicker']['ground_truth'])} % do.\n"
        )
    return text + source("street_robustness")


def speed() -> str:
    """End-to-end latency beside ``depthwise_aaff``, on two kinds of processor, each in one run."""
    columns = ["end-to-end latency, 480×360"]
    rows: dict[str, list[str]] = {}
    for name, kind in (("bench_bundled_480x360", "AVX2"), ("bench_bundled_480x360_avx512", "AVX-512 VNNI")):
        found = read(name)["rows"]
        first = found[0]["frame_to_map"]["median_ms"]
        columns += [f"median, {kind}", "relative to the first row"]
        for row in found:
            median = row["frame_to_map"]["median_ms"]
            cells = rows.setdefault(f"`{model_name(row)}`, {row['precision']}", [])
            cells += [f"{median:.1f} ms", f"{median / first:.2f}"]
    text = table(columns, [[name, *cells] for name, cells in rows.items()])
    return text + source("bench_bundled_480x360", "bench_bundled_480x360_avx512")


def aspect() -> str:
    """Mean IoU of frames of several aspects for each way to bring them to the network."""
    found = read("street_aspect")
    ways = list(dict.fromkeys(row["way"] for row in found["rows"]))
    miou = {(row["aspect"], row["way"]): percent(row["miou"]) for row in found["rows"]}
    rows = [
        [name, *(miou[name, way] for way in ways)] for name in dict.fromkeys(row["aspect"] for row in found["rows"])
    ]
    return table(["aspect", *(f"{way}, mean IoU %" for way in ways)], rows) + source("street_aspect")


def input_size() -> str:
    """What a larger or smaller input gives and costs."""
    found = read("street_input_size")
    small = ("pole", "sign symbol", "pedestrian")
    rows = [
        [
            row["size"].replace("x", "×"),
            percent(row["miou"]),
            *(percent(row["iou"][name]) for name in small),
            f"{row['ratio']:.2f}",
        ]
        for row in found["rows"]
    ]
    columns = ["input", "mean IoU %", *(f"{name}, IoU %" for name in small), "latency relative to the model's own size"]
    return table(columns, rows) + source("street_input_size")


def seen_frames() -> str:
    """The weakest classes on the frames that the street model was trained on, beside val."""
    rows = []
    for split in ("train", "val"):
        found = read(f"street_camvid_{split}")
        rows.append([f"{split} ({found['images']})", percent(found["miou"]), *(_iou(found, thin) for thin in THIN)])
    columns = ["frames of CamVid, int8", "mean IoU %", *THIN]
    return table(columns, rows) + source("street_camvid_train")


def pole_offset() -> str:
    """What raising the logit of poles gives, on val and on drives that a network has not seen."""
    found = read("street_pole_offset")
    splits = list(dict.fromkeys(row["split"] for row in found["rows"]))
    cells = {(row["offset"], row["split"]): f"{percent(row['iou'])} / {percent(row['miou'])}" for row in found["rows"]}
    offsets = dict.fromkeys(row["offset"] for row in found["rows"])
    rows = [[f"{offset:+.1f}", *(cells[offset, split] for split in splits)] for offset in offsets]
    return table(["added to the logit", *splits], rows) + source("street_pole_offset")


def confidence() -> str:
    """What the confidence costs, and how sure the model is of pictures of streets and of others."""
    found = read("street_confidence")
    latency = found["latency_ms"]
    rows = [[name, f"{value:.2f}"] for name, value in found["mean_confidence"].items()]
    text = table(["images", "mean confidence"], rows)
    text += (
        f"\nWith confidence, a frame takes {latency['with'] / latency['without']:.2f} times as long "
        f"({latency['with']:.1f} instead of {latency['without']:.1f} ms, measured alternately in one run).\n"
    )
    return text + source("street_confidence")


def serving() -> str:
    """What the server keeps of the engine's rate with many clients."""
    found = read("serve_load")
    memory = found["memory_mib"]
    text = (
        f"With {found['clients']} concurrent clients for {found['seconds']:.0f} s, each sending a {found['size']} JPEG "
        f"and receiving JSON, the server handled {found['server_fps']:.0f} requests per second: "
        f"{percent(found['of_engine'], 0)} % of the bare engine's rate (batches of decoded frames in memory). Half of "
        f"the requests took at most {found['p50_ms'] / 1000:.1f} s, 99 % at most {found['p99_ms'] / 1000:.1f} s; "
        f"{found['failures']} of {found['requests']:,} failed. Memory use was {memory['first_third']:.0f} MiB in the "
        f"first third of the run and {memory['last_third']:.0f} MiB in the last.\n"
    )
    return f"{textwrap.fill(text, 120)}\n" + source("serve_load")
