"""How fast training is: this engine beside a plain PyTorch loop and beside itself without data, in one run.

All are measured in turns, round by round, on the same batches, so that whatever slows the machine down
meets each of them alike; a ratio is the median of the ratios within the rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from aaff.networks import create_model
from aaff.networks.complexity import complexity
from aaff.provenance import provenance, usable_cores
from aaff.training.engine import has_bf16_instructions
from aaff.training.recipe import Recipe
from benchmarks.training.loops import PHASES, Measure, Spec
from benchmarks.training.processes import Measured, spells

PLAIN, ENGINE, RESIDENT = "plain PyTorch loop", "this engine", "this engine, one resident batch"

Tell = Callable[[str], None]


def measure_training(
    data: Path,
    recipe: Recipe,
    *,
    steps: int = 4,
    rounds: int = 4,
    workers: int | None = None,
    measures: bool = False,
    side_by_side: bool = False,
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """Time steps of training.

    Args:
        data: folder of a data set; its training split is used.
        recipe: network, size of the views (``augment.crop``), batch, threads.
        steps: of a loop in one round, after one to warm up.
        rounds: how often each loop has its turn.
        workers: processes that decode for the plain loop; None: as many as there are cores.
        measures: also switch each measure of the engine off, one at a time.
        side_by_side: also let as many runs as there are threads go side by side on one thread each.
        tell: hears of progress.

    Returns:
        JSON-ready: ``loops`` (a row for each, see ``row``), ``ratios``, ``measures`` and
        ``side_by_side`` where asked, what was measured, and ``provenance``.

    Raises:
        AaffError: the data set, the recipe or the machine does not allow it.
    """
    decoders = usable_cores() if workers is None else workers
    base = Spec(data, recipe, steps, workers=decoders)
    dataset = base.dataset()
    net = create_model(recipe.model, dataset.labels.num_classes, **recipe.network_options())
    flops = 6 * complexity(net, recipe.augment.crop).macs * recipe.batch
    specs = {
        PLAIN: replace(base, plain=True),
        ENGINE: base,
        RESIDENT: replace(base, resident=True),
    }
    peaks: dict[str, float] = {}
    times, about = _take_turns(specs, rounds, tell, peaks)
    rows = {name: row(times[name], about[name], recipe.batch, flops, peaks) for name in specs}
    result: dict[str, Any] = {
        "model": recipe.model,
        "options": list(recipe.options),
        "size": str(recipe.augment.crop),
        "batch": recipe.batch,
        "steps": steps,
        "rounds": rounds,
        "decoding_processes_of_the_plain_loop": decoders,
        "arithmetic_of_a_step_tflop": flops / 1e12,
        "arithmetic_peak_gflops": {precision: round(rate / 1e9, 1) for precision, rate in peaks.items()},
        "loops": rows,
        "ratios": {
            "engine over plain loop": _ratio(times[PLAIN], times[ENGINE]),
            "engine over resident batch": _ratio(times[RESIDENT], times[ENGINE]),
        },
    }
    if measures:
        result["measures"] = _measures(base, about[ENGINE], rounds, tell)
    if side_by_side:
        result["side_by_side"] = _side_by_side(base, about[ENGINE]["threads"], rounds, tell)
    return {**result, "provenance": provenance()}


def _take_turns(
    specs: dict[str, Spec], rounds: int, tell: Tell, peaks: dict[str, float] | None = None
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, Any]]]:
    """Spells of every loop by name, and what each loop is; fills in the arithmetic peak by precision where asked."""
    times: dict[str, list[dict[str, Any]]] = {name: [] for name in specs}
    with ExitStack() as stack:
        loops = {name: stack.enter_context(Measured(spec)) for name, spec in specs.items()}
        about = {name: loop.about() for name, loop in loops.items()}
        for number in range(rounds):
            names = list(specs)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                times[name] += spells([loops[name]], number)
                tell(f"round {number + 1}/{rounds}: {name} {times[name][-1]['step']:.3f} s a step")
            if peaks is None:
                continue
            for precision, name in {about[name]["precision"]: name for name in names}.items():
                loops[name].ask("peak", about[name]["device"], precision)
                peaks[precision] = max(peaks.get(precision, 0.0), loops[name].result()["flops"])
    return times, about


def row(
    times: Sequence[dict[str, Any]], about: dict[str, Any], batch: int, flops: float, peaks: dict[str, float]
) -> dict[str, Any]:
    """One loop's figures from its spells.

    Returns:
        ``seconds_a_step`` (median of the rounds), ``slowest`` and ``fastest`` round, ``images_a_second``,
        ``share`` of the time by phase (``other``: zeroing gradients, counting labels), ``share_of_peak`` (the
        arithmetic of direct convolutions, forward once and backward twice, over what the cores reach
        at best in this precision), ``memory_gib`` at most, ``device``, ``precision``, ``threads``.
    """
    seconds = [spell["step"] for spell in times]
    total = sum(seconds)
    share = {phase: sum(spell[phase] for spell in times) / total for phase in PHASES}
    share["other"] = 1 - sum(share.values())
    return {
        "seconds_a_step": round(median(seconds), 4),
        "fastest": round(min(seconds), 4),
        "slowest": round(max(seconds), 4),
        "images_a_second": round(batch / median(seconds), 3),
        "share": {phase: round(value, 4) for phase, value in share.items()},
        "share_of_peak": round(flops / median(seconds) / peaks[about["precision"]], 4),
        "memory_gib": round(max(spell["memory_gib"] for spell in times), 3),
        **about,
    }


def _ratio(slow: Sequence[dict[str, Any]], fast: Sequence[dict[str, Any]]) -> float:
    """How many times as fast the second is, as the median over the rounds."""
    return round(float(median(a["step"] / b["step"] for a, b in zip(slow, fast, strict=True))), 3)


def _measures(base: Spec, about: dict[str, Any], rounds: int, tell: Tell) -> list[dict[str, Any]]:
    """How much longer a step takes without each measure."""
    on_cpu, bf16 = about["device"] == "cpu", about["precision"] == "bf16"
    names: list[Measure] = ["channels-last", "fused optimizer", "cache"]
    names += ["native-logits loss", "kept memory"] if on_cpu else []
    specs = {"": base} | {name: replace(base, without=name) for name in names}
    if bf16:
        specs["bf16"] = replace(base, without="bf16")
    elif on_cpu and has_bf16_instructions():
        specs["fp32"] = replace(base, without="fp32")
    if bf16 and on_cpu:
        specs["strided"] = replace(base, without="strided")
    if on_cpu:
        specs["winograd"] = replace(base, without="winograd")
    times, _ = _take_turns(specs, rounds, tell)
    beside = {name: "bf16" if name == "winograd" and bf16 else "" for name in specs}  # Winograd serves float32
    return [
        {
            "without": name,
            "beside": "this engine in float32" if beside[name] else ENGINE,
            "seconds_a_step": round(median(spell["step"] for spell in times[name]), 4),
            "times_as_long": _ratio(times[name], times[beside[name]]),
        }
        for name in specs
        if name
    ]


def _side_by_side(base: Spec, threads: int, rounds: int, tell: Tell) -> dict[str, Any]:
    """Whether runs on one thread each, side by side, do more than one run on all threads."""
    batch = base.recipe.batch
    single = replace(base, recipe=replace(base.recipe, engine=replace(base.recipe.engine, threads=1)))
    together: list[float] = []
    alone: list[float] = []
    with ExitStack() as stack:
        one = stack.enter_context(Measured(base))
        many = [stack.enter_context(Measured(single)) for _ in range(threads)]
        for number in range(rounds):
            alone.append(batch / spells([one], number)[0]["step"])
            together.append(sum(batch / spell["step"] for spell in spells(many, number)))
            tell(f"round {number + 1}/{rounds}: {together[-1]:.2f} images/s side by side, {alone[-1]:.2f} alone")
    return {
        "runs": threads,
        "threads_each": 1,
        "images_a_second_together": round(median(together), 3),
        "images_a_second_one_run": round(median(alone), 3),
        "ratio": round(median(a / b for a, b in zip(together, alone, strict=True)), 3),
    }
