"""Speed of deployed models: end-to-end latency, latency of the network alone, and throughput.

End-to-end latency is measured from a uint8 RGB frame in memory to a uint8 class map of the same size in memory, the
network alone from a float planar input to the native logits.  The rows of a run are timed in alternation in short
rounds, so that a machine whose speed drifts favours none of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from aaff.bench import peak
from aaff.bench.contenders import Contender, Infer
from aaff.errors import MissingExtraError, OptionError
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.provenance import usable_cores

ROUNDS = 10
"""Maximum number of rounds; each row has one turn per round."""

_WARM_UP = 2
"""Untimed warm-up calls before each turn: they load the weights into the cache, and let the threads of the previous row
go to sleep.  Rows with slow calls, for which this does not matter, have none."""

_LONG = 0.5
"""Maximum duration of the warm-up in seconds."""

_FEWEST = 3
"""Minimum number of calls of each row, whatever the time limit."""

_SLOW = 0.8
"""Largest share of the time for one call of each row in every round, so that fast rows get more than one."""

_FRAMES = 8
_PEAK_CALLS = 3

Report = Callable[[int, int], None]


class _Times:
    """The timings of one row, in seconds."""

    def __init__(self) -> None:
        self.whole: list[float] = []
        self.alone: list[float] = []
        self.streamed: list[float] = []


def measure_models(
    rows: Sequence[Contender],
    frames: Callable[[Size, int], Sequence[UInt8Array]],
    *,
    runs: int = 200,
    threads: int | None = None,
    seconds: float | None = None,
    report: Report = lambda done, of: None,
) -> dict[str, Any]:
    """Time all rows in one run.

    Args:
        rows: the rows to time; their ratios refer to the first one of the same size.
        frames: function of a size and a number that returns frames RGB uint8 [H, W, 3] to measure on.
        runs: calls of each row, in up to ``ROUNDS`` rounds; rounded up to a multiple of the number of rounds.
        threads: CPU threads; default: all cores.
        seconds: time limit, estimated from the rows' first calls: slow rows get fewer calls, but at least three.
        report: called with the number of turns done and the total.

    Returns:
        ``rows``, ``peaks``, and a description of both.  A row has ``network``, ``engine``, ``precision``, ``rest`` (the
        data type of unquantised layers), ``size``, ``threads``, ``macs``, ``parameters`` (None for a file) and
        ``origin`` (of weights and file);
        ``frame_to_map`` with ``median_ms``, its quartiles ``q1_ms`` and ``q3_ms``, ``p95_ms``, ``fps`` and ``calls``;
        ``ratio`` of its fps to that of the first row of its size; ``network_alone`` likewise or None; ``overhead``
        (f - n) / n or None; ``throughput`` with ``fps`` and ``callers`` or None; ``share_of_peak`` in [0, 1] of the
        network alone or None.

    Raises:
        OptionError: ``rows`` is empty, or ``runs`` is less than 1.
    """
    if runs < 1 or not rows:
        raise OptionError(f"{len(rows)} models, {runs} runs: nothing to measure; give 1 or more of both")
    rounds, turns = _share_out(rows, runs, seconds)
    sizes = {row.subject.card.size for row in rows}
    frames_of = {size: frames(size, _FRAMES) for size in sizes}
    times = [_Times() for _ in rows]
    callers = 2 * (threads or usable_cores())
    peaks, note = _peaks(rows, threads)
    best = dict.fromkeys(peaks, float("inf"))
    with ThreadPoolExecutor(callers) as pool:
        for number in range(rounds):
            for index, (row, taken) in enumerate(zip(rows, times, strict=True)):
                report(number * len(rows) + index, rounds * len(rows))
                _turn(row, taken, frames_of[row.subject.card.size], turns[index], pool)
            for key, convolve in peaks.items():
                convolve()
                best[key] = min(best[key], *(_seconds(convolve) for _ in range(_PEAK_CALLS)))
    rates = {key: 2 * peak.MACS / seconds for key, seconds in best.items()}
    first: dict[Size, float] = {}
    for row, taken in zip(rows, times, strict=True):
        first.setdefault(row.subject.card.size, statistics.median(taken.whole))
    return {
        "frame_to_map": "uint8 RGB frame in memory to uint8 class map of the same size in memory, one after the other",
        "network_alone": "float planar input to native logits, the same graph in the same run",
        "throughput": "end-to-end with several frames at once",
        "ratio": "frames per second beside those of the first row of the same size",
        "share_of_peak": "operations a second of the network alone beside those of the convolutions under peaks",
        "frames": "synthetic street scenes",
        "runs": max(turns) * rounds,
        "rows": [
            _row(row, taken, first[row.subject.card.size], threads or usable_cores(), callers, rates)
            for row, taken in zip(rows, times, strict=True)
        ],
        "peaks": [
            {"engine": engine, "precision": precision, "gops": round(rate / 1e9, 1)}
            for (engine, precision), rate in rates.items()
        ],
        "convolution": f"{peak.LAYERS} times 3x3, {peak.CHANNELS} to {peak.CHANNELS} channels, {peak.SIDE}x{peak.SIDE}",
        **({"note": note} if note else {}),
    }


def joined(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join the results of several runs of ``measure_models``, with the most calls and the highest of each peak.

    Shares of the peak and ratios keep their values, which refer to the peak and the first row of their own run.  The
    first row, which all runs share, appears once.
    """
    peaks: dict[tuple[str, str], dict[str, Any]] = {}
    for found in (found for result in results for found in result["peaks"]):
        known = peaks.setdefault((found["engine"], found["precision"]), found)
        if found["gops"] > known["gops"]:
            peaks[found["engine"], found["precision"]] = found
    rows: list[dict[str, Any]] = []
    for result in results:
        already = {_name(row) for row in rows}
        rows += [row for row in result["rows"] if _name(row) not in already]
    return {
        **results[0],
        "rows": rows,
        "runs": max(result["runs"] for result in results),
        "peaks": list(peaks.values()),
    }


def _name(row: dict[str, Any]) -> tuple[str, ...]:
    return row["model"], row["engine"], row["precision"], row["size"]


def _share_out(rows: Sequence[Contender], runs: int, seconds: float | None) -> tuple[int, list[int]]:
    """The number of rounds, and the number of calls of each row per round.

    Without a time limit, all rows have the same number of calls.  With one, all have the same time, except for slow
    rows whose single call takes longer than that.
    """
    rounds = min(ROUNDS, runs)
    most = -(-runs // rounds)
    if seconds is None:
        return rounds, [most] * len(rows)
    costs = [row.seconds + _streamed(row) for row in rows]
    warming = sum(_warm_up(row) * row.seconds + 2 * _FRAMES * _streamed(row) for row in rows)
    fits = int(_SLOW * seconds / max(warming + sum(costs), 1e-9))
    rounds = max(min(rounds, fits), min(rounds, _FEWEST))
    low, high = 0.0, most * max(costs)  # seconds of a row in a round
    for _ in range(40):
        middle = (low + high) / 2
        taken = sum(cost * calls for cost, calls in zip(costs, _calls(costs, middle, most), strict=True))
        low, high = (middle, high) if rounds * (warming + taken) <= seconds else (low, middle)
    return rounds, _calls(costs, low, most)


def _calls(costs: Sequence[float], seconds: float, most: int) -> list[int]:
    return [max(1, min(most, int(seconds / max(cost, 1e-9)))) for cost in costs]


def _streamed(row: Contender) -> float:
    """Seconds of one frame with several callers, at most; 0 without such a mode."""
    return 0.0 if row.streamed is None else row.seconds / (1 if row.alone is None else 2)


def _warm_up(row: Contender) -> int:
    return _WARM_UP if _WARM_UP * row.seconds <= _LONG else 0


def _peaks(
    rows: Sequence[Contender], threads: int | None
) -> tuple[dict[tuple[str, str], Callable[[], object]], str | None]:
    """A large convolution for each engine and precision of the rows; without onnx, none and a note that says so."""
    try:
        keys = dict.fromkeys(_peak_of(row) for row in rows)
        return {key: peak.convolution(*key, threads) for key in keys}, None
    except MissingExtraError as error:
        return {}, f"the share of the peak rate was not measured: {error}"


def _peak_of(row: Contender) -> tuple[str, str]:
    return row.engine, "int8" if row.precision.startswith("int8") else row.precision


def _turn(row: Contender, taken: _Times, frames: Sequence[UInt8Array], calls: int, pool: ThreadPoolExecutor) -> None:
    for _ in range(_warm_up(row)):
        row.whole(frames[0])
        if row.alone is not None:
            row.alone()
    for call in range(calls):
        frame = frames[call % len(frames)]
        taken.whole.append(_seconds(partial(row.whole, frame)))
        if row.alone is not None:
            taken.alone.append(_seconds(row.alone))
    if row.streamed is not None:
        queue = [frames[call % len(frames)] for call in range(max(calls, _FRAMES))]
        list(pool.map(row.streamed, frames))
        taken.streamed.append(_seconds(partial(_drain, pool, row.streamed, queue)) / len(queue))


def _drain(pool: ThreadPoolExecutor, infer: Infer, frames: Sequence[UInt8Array]) -> None:
    for _ in pool.map(infer, frames):
        pass


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _row(
    row: Contender, taken: _Times, first: float, threads: int, callers: int, rates: dict[tuple[str, str], float]
) -> dict[str, Any]:
    whole = statistics.median(taken.whole)
    alone = statistics.median(taken.alone) if taken.alone else None
    rate = rates.get(_peak_of(row))
    macs = row.subject.macs
    return {
        "model": row.subject.word,
        "network": row.subject.card.network,
        "engine": row.engine,
        "precision": row.precision,
        "rest": "bf16" if row.precision.endswith("bf16") else "fp32",
        "size": str(row.subject.card.size),
        "threads": threads,
        "macs": macs,
        "parameters": row.subject.parameters,
        "origin": row.subject.origin,
        "frame_to_map": _summary(taken.whole),
        "ratio": round(first / whole, 3),
        "network_alone": _summary(taken.alone) if taken.alone else None,
        "overhead": round((whole - alone) / alone, 4) if alone else None,
        "throughput": {"fps": round(1 / statistics.median(taken.streamed), 2), "callers": callers}
        if taken.streamed
        else None,
        "share_of_peak": round(2 * macs / alone / rate, 4) if alone and rate else None,
    }


def _summary(seconds: Sequence[float]) -> dict[str, float | int]:
    middle = statistics.median(seconds)
    q1, q3, p95 = (round(1000 * float(np.percentile(seconds, share)), 3) for share in (25, 75, 95))
    return {
        "median_ms": round(1000 * middle, 3),
        "q1_ms": q1,
        "q3_ms": q3,
        "p95_ms": p95,
        "fps": round(1 / middle, 2),
        "calls": len(seconds),
    }
