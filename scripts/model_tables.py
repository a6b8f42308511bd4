"""Tables of the bundled street model for ``docs/models.md``, made from its result files."""

from __future__ import annotations

from typing import Any

from scripts.tables import model_name, percent, read, source, table


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


def _iou(found: dict[str, Any], name: str) -> str:
    value = found["per_class"].get(name, {}).get("iou")
    return "–" if value is None else percent(value)


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
            f"\nFrom one frame to the next {percent(found['flicker']['prediction'])} % of the pixels change class; "
            f"of the labels, {percent(found['flicker']['ground_truth'])} %.\n"
        )
    return text + source("street_robustness")


def speed() -> str:
    """End-to-end latency beside ``depthwise_aaff`` in one run."""
    found = read("bench_bundled_480x360")
    first = found["rows"][0]["frame_to_map"]["median_ms"]
    rows = [
        [
            f"`{model_name(row)}`, {row['precision']}",
            f"{row['frame_to_map']['median_ms']:.1f} ms",
            f"{row['frame_to_map']['median_ms'] / first:.2f}",
        ]
        for row in found["rows"]
    ]
    text = table(["end-to-end, 480×360", "median", "beside the first"], rows)
    return text + source("bench_bundled_480x360")
