"""Results that were never measured, in the form of measured ones, so that the report can be tested without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aaff.evaluation import ConfusionMatrix
from aaff.files import write_json
from aaff.labels import CAMVID11, UInt8Array
from aaff.provenance import provenance
from experiments.paper.plan import PAPER_ORDER, UNGATED, WIDENED
from experiments.runner.archive import Archive
from experiments.runner.details import Borders, Calibration, Objects

MakeUp = Callable[..., Path]
"""Writes made-up results of so many finished seeds and drives."""

DRIVES = ("0001TP", "0006R0", "0016E5")
SKILL = {
    "bisenet": 0.905,
    "depthwise_bisenet": 0.885,
    "depthwise_aaff": 0.9,
    "depthwise_aaff2": 0.88,
    UNGATED: 0.893,
    WIDENED: 0.89,
}
"""Share of pixels that a made-up network gets right."""

GATE = {"mean": 0.5, "between_channels": 0.2, "between_frames": 0.05, "closed": 0.0, "open": 0.1, "channels": 64.0}


def street(rng: np.random.Generator) -> UInt8Array:
    """A label map 48×64 with bands and boxes of all classes."""
    label = np.repeat(np.array([0, 1, 5, 4, 3], np.uint8), [10, 14, 8, 4, 12])[:, None] * np.ones((1, 64), np.uint8)
    for index in (2, 6, 7, 8, 9, 10):
        y, x, side = rng.integers(0, 36), rng.integers(0, 50), rng.integers(2, 12)
        label[y : y + side, x : x + side] = index
    label[:, :2] = 255
    return label.astype(np.uint8)


def measured(split: str, skill: float, rng: np.random.Generator, *, full: bool = True) -> dict[str, Any]:
    """Scores of a network that is right on a share of the pixels, and guesses elsewhere."""
    matrix, frames = ConfusionMatrix(11), {}
    calibration, borders, objects = Calibration(), Borders(11), Objects(11)
    for number in range(4):
        label = street(rng)
        wrong = rng.random(label.shape) > skill
        prediction = np.where(wrong | (label == 255), rng.integers(0, 11, label.shape), label).astype(np.uint8)
        confidence = np.clip(np.where(wrong, 0.5, 0.95) + 0.1 * rng.normal(size=label.shape), 0.1, 1).astype(np.float32)
        matrix.update(label, prediction)
        calibration.update(label, prediction, confidence)
        borders.update(label, prediction)
        objects.update(label, prediction)
        frames[f"{split}_{number}"] = float((label == prediction).mean())
    metrics = matrix.metrics()
    result = {
        "protocol": "camvid11",
        "split": split,
        "images": 4,
        **metrics.means(),
        "per_class": metrics.per_class(CAMVID11.names),
        "checkpoint": "0" * 64,
        "confusion": {"names": list(CAMVID11.names), "counts": matrix.counts.tolist()},
        "frames_sha256": "f" * 64,
    }
    if full:
        result |= {
            "calibration": calibration.to_dict(),
            "borders": borders.to_dict(),
            "objects": objects.to_dict(),
            "gates": dict.fromkeys(("sides.left.aaff4.gate", "sides.left.arm.1", "fusion"), GATE),
            "frames": frames,
        }
    return result


def entry(
    group: str, name: str, seed: int, fold: str | None, scores: dict[str, Any], epochs: int = 6
) -> dict[str, Any]:
    """A finished run as it stands in the results."""
    options = {UNGATED: ["gate=none"], WIDENED: ["width=1.418"]}.get(name, [])
    network = name.split("-")[0] if group != "ablation" else "depthwise_aaff"
    final = next(iter(scores.values()))["miou"]
    history: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "step": 45 * epoch, "loss": 2.0 / epoch}
        if epoch % 2 == 0:
            row |= {"miou": final * epoch / epochs, "pixel_accuracy": 0.5 + 0.4 * epoch / epochs}
        history.append(row)
    return {
        "group": group,
        "name": name,
        "network": network,
        "seed": seed,
        "fold": fold,
        "condition": f"drive {fold}" if fold else f"seed {seed}",
        "options": options,
        "parameters": {"bisenet": 2_677_443, "depthwise_bisenet": 1_843_651}.get(network, 2_116_035),
        "macs": {"bisenet": 5_654_175_168, "depthwise_bisenet": 2_876_587_968}.get(network, 4_103_430_080),
        "size": "480x360",
        "history": history,
        "scores": scores,
        "recipe": {"epochs": epochs, "batch": 8, "optim": {"lr": 0.002}},
        "data": "d" * 64,
        "seconds": 7000.0,
        "checkpoint": "0" * 64,
        "provenance": provenance() | {"engine": {"device": "cpu", "precision": "fp32", "threads": 1}},
    }


SPEED = {
    "rows": [
        {
            "network": name,
            "engine": engine,
            "precision": precision,
            "size": size,
            "threads": 2,
            "frame_to_map": {"median_ms": ms * factor, "p95_ms": 1.2 * ms * factor},
            "network_alone": {"median_ms": 0.9 * ms * factor},
        }
        for engine, precision, size, factor in (
            ("openvino", "int8", "480x360", 1.0),
            ("openvino", "fp32", "480x360", 2.2),
            ("openvino", "int8", "800x640", 3.0),
        )
        for name, ms in zip(PAPER_ORDER, (28.0, 15.0, 20.0, 21.0), strict=True)
    ]
}


def write_made_up(folder: Path, seeds: int, drives: int, ablation: bool, test: bool, speed: bool, fault: bool) -> Path:
    """Results of so many finished seeds and drives of a plan of three each."""
    rng = np.random.default_rng(0)
    plan: list[dict[str, Any]] = []

    def add(group: str, name: str, seed: int, fold: str | None, done: bool) -> None:
        skill = SKILL.get(name, 0.89) + 0.004 * rng.normal() - (0.15 if fold else 0.0)
        plan.append(
            {
                "run": f"{group}/{name}{f'-without-{fold}' if fold else ''}-seed{seed}",
                "group": group,
                "name": name,
                "seed": seed,
                "fold": fold,
                "condition": f"drive {fold}" if fold else f"seed {seed}",
                "stage": "done" if done else "waiting",
                "epoch": 6 if done else 0,
                "epochs": 6,
                "failure": "",
                "core_hours": 2.0,
            }
        )
        if done:
            seen, held = (f"train-without-{fold}", f"drive-{fold}") if fold else ("train", "val")
            scores = {held: measured(held, skill, rng)}
            if group != "ablation":
                scores[seen] = measured(seen, min(skill + 0.03, 0.99), rng, full=False)
            if test and group == "seeds":
                scores["test"] = measured("test", skill - 0.08, rng)
            write_json(Archive(folder).path(plan[-1]["run"]), entry(group, name, seed, fold, scores))

    for seed in range(3):
        for name in PAPER_ORDER:
            add("seeds", name, seed, None, seed < seeds)
    for number, fold in enumerate(DRIVES):
        for name in (*PAPER_ORDER, UNGATED, WIDENED):
            add("drives", name, 0, fold, number < drives)
    for name in ("sigmoid-concat", "relu-concat", "none-add", "one-side", "no-spatial-path"):
        add("ablation", name, 0, None, ablation)
    origin = provenance()
    settings = {"data": "made up", "seeds": [0, 1, 2], "protocol": "camvid11"}
    write_json(folder / "plan.json", {"settings": settings, "runs": plan, "provenance": origin})
    prior = {"miou": 0.167, "pixel_accuracy": 0.59, "mean_class_accuracy": 0.25, "learned_from": "train"}
    rows = {"majority class": prior | {"miou": 0.03, "pixel_accuracy": 0.32}, "position prior": prior}
    splits = ("val", "test", *(f"drive-{d}" for d in DRIVES))
    baselines = {split: {"key": "", "images": 4, "rows": rows} for split in splits}
    write_json(folder / "baselines.json", {"splits": baselines, "provenance": origin})
    if speed:
        write_json(folder / "speed.json", [SPEED])
    if fault:
        write_json(folder / "fault.json", made_up_fault())
    return folder


def made_up_fault() -> dict[str, Any]:
    """As networks.md says it must be."""
    constant = GATE | {"between_frames": 0.0}
    scores = {"miou": 0.2, "pixel_accuracy": 0.6, "mean_class_accuracy": 0.2}

    def published(gate: dict[str, float], parts: dict[str, float]) -> dict[str, Any]:
        step = {"all": 0.87 if parts["sides"] else 0.07, "parts": parts}
        return {
            "first_step": step,
            "last_step": step,
            "gates": {"sides.left.arm.1": gate, "fusion": gate},
            "batch_statistics": scores,
            "moving_statistics": scores | {"pixel_accuracy": 0.2},
        }

    sound = {"gates": {"sides.left.arm.1": GATE, "fusion": GATE}, "moving_statistics": scores}
    alive, dead = {"backbone": 0.0, "sides": 0.0, "spatial": 0.0}, {"backbone": 1.0, "sides": 1.0, "spatial": 0.0}
    return {
        "scale": {"size": "96x64", "steps": 100, "sound_batch": 8},
        "networks": {
            "depthwise_aaff": {"published": published(constant, alive), "sound": sound},
            "depthwise_aaff2": {"published": published(constant | {"mean": 0.0, "closed": 1.0}, dead), "sound": sound},
        },
        "provenance": provenance(),
    }
