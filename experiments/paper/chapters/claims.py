"""Sections V-A to V-D in sentences: what the paper says, what was measured, and whether it holds."""

from __future__ import annotations

from experiments.paper.analysis import (
    TITLES,
    answer,
    conditions,
    generalisation,
    pareto,
    scores_by_condition,
    seen,
    spread,
)
from experiments.paper.blocks import Block, Points
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import Results
from experiments.paper.rule import Comparison, compare
from experiments.paper.speed import main_setting, speed_rows

_OPEN = "Open: some of the runs are not finished."


def _claim(paper: str, measured: str, holds: str) -> str:
    return f"**The paper says:** {paper} **Measured:** {measured} **Does it hold?** {holds}"


def _holds(comparison: Comparison, **readings: str) -> str:
    """The reading of a verdict; what is undecided is never called a finding."""
    undecided = "Undecided: neither a difference nor its absence is shown."
    return {"open": _OPEN, "undecided": undecided, "equivalent": "Equivalent within the margin.", **readings}[
        comparison.verdict
    ]


def _against_others(results: Results, group: str, name: str = "depthwise_aaff2") -> dict[str, Comparison]:
    """One of the four networks against each of the others in mean IoU, by the other's title."""
    scores = scores_by_condition(results, group)
    others = [other for other in PAPER_ORDER if other != name]
    return {TITLES[other]: compare(scores, name, other, conditions(results, group, name, other)) for other in others}


def _told(found: dict[str, Comparison]) -> str:
    return "; ".join(f"against {title} {c.told}" for title, c in found.items())


def all_of(found: dict[str, Comparison], wanted: str, yes: str) -> str:
    """Whether every verdict is ``wanted``; what is undecided is never called a finding."""
    by_verdict: dict[str, list[str]] = {}
    for title, c in found.items():
        by_verdict.setdefault(c.verdict, []).append(title)
    if "open" in by_verdict:
        return _OPEN
    if list(by_verdict) == [wanted]:
        return yes
    parts = [
        f"{verdict} against {', '.join(titles[:-1]) + ' and ' * (len(titles) > 1)}{titles[-1]}"
        for verdict, titles in by_verdict.items()
    ]
    kept = "In part: " if wanted in by_verdict else "Not shown: " if list(by_verdict) == ["undecided"] else "No: "
    return f"{kept}{', '.join(parts)}."


def _fitted(results: Results) -> str:
    """How well the short runs on drives fit what they were trained on, which limits what they say."""
    runs = [run for run in results.of("drives") if seen(run) in run.scores]
    if not runs:
        return ""
    values = [100 * float(run.scores[seen(run)]["miou"]) for run in runs]
    return (
        f" These runs have {runs[0].recipe['epochs']} epochs and reach {min(values):.0f} to {max(values):.0f} % on "
        "their own training frames, which by the rule is too little to speak of generalisation."
    )


def learning(results: Results) -> list[Block]:
    """V-A."""
    if not results.of("seeds"):
        return []
    miou, accuracy = answer(results, "seeds"), answer(results, "seeds", "pixel_accuracy")
    others = _against_others(results, "seeds")
    classes = {label: _by_class(results, label) for label in ("road", "car", "pavement")}
    told = ", ".join(f"{label} {c.told}" for label, c in classes.items())
    paper = {"road": "higher", "car": "higher", "pavement": "lower"}
    kept = [label for label, c in classes.items() if c.verdict == paper[label]]
    other = [label for label, c in classes.items() if c.verdict in ("higher", "lower") and label not in kept]
    reading = (
        f"Shown for {', '.join(kept) or 'none of the three'}; the opposite is shown for {', '.join(other) or 'none'}."
    )
    return [
        Points(
            (
                _claim(
                    "DepthwiseAAFF learns about as well as BiSeNet, not worse.",
                    f"DepthwiseAAFF − BiSeNet on val, in points: {accuracy.claim.told} in pixel accuracy, "
                    f"{miou.claim.told} in mean IoU.",
                    _holds(accuracy.claim, higher="Yes; its pixel accuracy is higher.", lower="No, it learns worse."),
                ),
                _claim(
                    "DepthwiseAAFF2 learns significantly worse than the others (80 % against 84 and 85 %).",
                    f"the mean IoU of DepthwiseAAFF2 on val, in points, {_told(others)}. The paper's DepthwiseAAFF2 "
                    "was trained with dead gates: see the fault in the reference implementation below.",
                    all_of(others, "lower", "Yes."),
                ),
                _claim(
                    "DepthwiseAAFF is better than BiSeNet on large objects such as road and car, and worse on pavement "
                    "and traffic light.",
                    f"DepthwiseAAFF − BiSeNet in class accuracy on val, in points: {told}. camvid11 has no "
                    "traffic light class.",
                    reading if all(c.verdict != "open" for c in classes.values()) else _OPEN,
                ),
            )
        )
    ]


def _by_class(results: Results, label: str) -> Comparison:
    """DepthwiseAAFF − BiSeNet in the accuracy of one class on val."""
    scores = {
        (run.name, run.condition): {run.seed: float(value)}
        for run in results.of("seeds")
        if (value := run.scores.get("val", {}).get("per_class", {}).get(label, {}).get("accuracy")) is not None
    }
    pair = "depthwise_aaff", "bisenet"
    return compare(scores, *pair, conditions(results, "seeds", *pair))


def carrying_over(results: Results) -> list[Block]:
    """V-B."""
    if not results.of("drives"):
        return []
    found = answer(results, "drives")
    others = _against_others(results, "drives")
    unseen = {n: g.drives.mean for n in PAPER_ORDER if (g := generalisation(results, n)).drives is not None}
    told = ", ".join(f"{TITLES[n]} {100 * value:.1f} %" for n, value in unseen.items())
    return [
        Points(
            (
                _claim(
                    "DepthwiseBiSeNet generalises very poorly (62 % on test, 22 points below val).",
                    f"BiSeNet − DepthwiseBiSeNet on unseen drives, in points of mean IoU: {found.depthwise.told}."
                    + _fitted(results),
                    _holds(found.depthwise, higher="It scores lower than BiSeNet there.", lower="No."),
                ),
                _claim(
                    "DepthwiseAAFF2 generalises best (80 % on val and on test).",
                    f"mean IoU on unseen drives: {told}. In points, DepthwiseAAFF2 {_told(others)}.",
                    all_of(others, "higher", "Yes."),
                ),
                _claim(
                    "the AAFF block improves generalisation; DepthwiseAAFF generalises like BiSeNet.",
                    f"mean IoU on unseen drives, in points: DepthwiseAAFF − DepthwiseBiSeNet {found.design.told}, "
                    f"DepthwiseAAFF − BiSeNet {found.claim.told}.",
                    _holds(found.design, higher="It scores higher there than without the block.", lower="No."),
                ),
            )
        )
    ]


def speed(results: Results) -> list[Block]:
    """V-C."""
    rows = speed_rows(results.speed)
    setting = main_setting(rows)
    fps: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        fps.setdefault(row.setting, {})[row.network] = row.fps
    complete = {key: found for key, found in fps.items() if set(found) == set(PAPER_ORDER)}
    if setting not in complete:
        return []
    ratios = {key: {n: found[n] / found["bisenet"] for n in PAPER_ORDER[1:]} for key, found in complete.items()}
    told = ", ".join(f"{TITLES[n]} {ratio:.2f}" for n, ratio in ratios[setting].items())
    otherwise = [key for key, found in ratios.items() if not _as_told(found)]
    first = "Yes, for the order" + (f", in all {len(ratios)} settings measured." if len(ratios) > 1 else ".")
    if otherwise:
        listed = "; ".join(
            f"{' '.join(key[:2])} at {key[2]} ("
            + ", ".join(f"{TITLES[n]} {ratio:.2f}" for n, ratio in ratios[key].items())
            + ")"
            for key in otherwise
        )
        first = f"In {len(ratios) - len(otherwise)} of {len(ratios)} settings, for the order; not in {listed}."
    return [
        Points(
            (
                _claim(
                    "DepthwiseBiSeNet is the fastest, and the two AAFF networks are faster than BiSeNet, by at least "
                    "about 5 frames per second (its Table 1 has 6 and 2).",
                    f"speed relative to BiSeNet ({' '.join(setting[:2])} at {setting[2]}): {told}; the paper's ratios "
                    "are 1.40, 1.24 and 1.08.",
                    f"{first} The paper's frames per second come from another machine and are not comparable.",
                ),
            )
        )
    ]


def _as_told(ratios: dict[str, float]) -> bool:
    """Whether DepthwiseBiSeNet is the fastest, and all three are faster than BiSeNet by what the rule calls a gain."""
    fastest = max(ratios, key=ratios.__getitem__) == "depthwise_bisenet"
    return fastest and all(ratio > 1.05 for ratio in ratios.values())


def whole(results: Results) -> list[Block]:
    """V-D and the conclusion."""
    if not results.of("seeds"):
        return []
    val, drives = answer(results, "seeds"), answer(results, "drives")
    points = []
    rows = speed_rows(results.speed)
    setting = main_setting(rows)
    scored = [
        (row.network, row.median_ms, found.mean)
        for row in rows
        if row.setting == setting and (found := spread(results, row.network, "val", "miou")) is not None
    ]
    if len(scored) == len(PAPER_ORDER):
        front = [scored[i][0] for i in pareto([(ms, score) for _, ms, score in scored])]
        told = " and ".join(TITLES[name] for name in front)
        others = " and ".join(TITLES[name] for name in front if name != "depthwise_aaff")
        if "depthwise_aaff" not in front:
            holds = "No: DepthwiseAAFF is not on the front."
        else:
            holds = f"In part: DepthwiseAAFF shares the front with {others}." if others else "Yes."
        points.append(
            _claim(
                "only DepthwiseAAFF does well in both accuracy and speed.",
                f"by the means over seeds, the Pareto front of mean IoU on val and latency in "
                f"{setting[1] if setting else ''} is {told}.",
                holds,
            )
        )
    points.append(
        _claim(
            "the AAFF block has no obvious effect on accuracy, but improves generalisation.",
            f"DepthwiseAAFF − DepthwiseBiSeNet, in points of mean IoU: {val.design.told} on val, {drives.design.told} "
            f"on unseen drives.{_fitted(results)}",
            "For accuracy, "
            + _holds(val.design, higher="no: it scores higher on val.", lower="no: it scores lower on val.").lower()
            + " For generalisation, "
            + _holds(drives.design, higher="yes: it scores higher.", lower="no: it scores lower.").lower(),
        )
    )
    return [Points(tuple(points))]
