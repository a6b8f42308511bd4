"""The plan of the experiment: which networks are trained on what, by which recipe, in which order, at what cost.

Three groups of runs (issue and rule: ``docs/experiment``):

``seeds``     the paper's four networks, every seed, the paper's recipe, trained on train.
``drives``    the four and the two controls under ``camvid11-drives``: every drive held out once, one seed.
``ablation``  depthwise_aaff: gate × fusion, one side, no spatial path; a short recipe, one seed.

A run is a network, a recipe and a folder; nothing here trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aaff.data.protocols import DRIVES
from aaff.errors import OptionError, UnknownNameError
from aaff.preprocess import Size
from aaff.training.recipe import Recipe

GROUPS = ("seeds", "drives", "ablation")
"""Groups of runs."""

PAPER_ORDER = ("bisenet", "depthwise_bisenet", "depthwise_aaff", "depthwise_aaff2")
"""The four networks as the paper's Table 1 lists them."""

UNGATED, WIDENED = "depthwise_aaff-ungated", "depthwise_bisenet-widened"
"""The two controls: DepthwiseAAFF without gates, DepthwiseBiSeNet at the cost of DepthwiseAAFF."""

ABLATION_GATES = ("sigmoid", "relu", "hard_sigmoid", "none")
ABLATION_FUSIONS = ("concat", "add")

DEFAULT_ORDER = ("drives", "ablation", "seeds")
"""After the first seed of all four networks: what the answer needs most comes first."""

_FIRST = ("depthwise_aaff", "depthwise_bisenet", "bisenet", "depthwise_aaff2")
"""Running order within a seed: the pair that the question is about comes first."""


@dataclass(frozen=True)
class Variant:
    """A network of the experiment.

    Attributes:
        name: unique in its group; the run folder begins with it.
        model: registered network.
        options: its options, as ``NAME=VALUE``.
    """

    name: str
    model: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scoring:
    """A split that a finished run is scored on.

    Attributes:
        split, protocol: as ``aaff.data.open_dataset`` takes them; None is what the layout implies.
        full: with calibration, borders, sizes and gates; False counts the confusion matrix alone.
    """

    split: str
    protocol: str | None
    full: bool


@dataclass(frozen=True)
class PlannedRun:
    """One training of the plan.

    Attributes:
        group: one of ``GROUPS``.
        variant: the network.
        seed: of the recipe.
        fold: the held-out drive, in group drives.
        recipe: the complete recipe.
        scorings: what the finished run is scored on.
    """

    group: str
    variant: Variant
    seed: int
    recipe: Recipe
    scorings: tuple[Scoring, ...]
    fold: str | None = None

    @property
    def name(self) -> str:
        """Folder below that of the experiment, such as ``seeds/bisenet-seed0``."""
        fold = f"-without-{self.fold}" if self.fold else ""
        return f"{self.group}/{self.variant.name}{fold}-seed{self.seed}"

    @property
    def condition(self) -> str:
        """What pairs this run with those of other networks, such as ``seed 0`` or ``drive 0001TP``."""
        return f"drive {self.fold}" if self.fold else f"seed {self.seed}"


Macs = Callable[[str, tuple[str, ...], Size], int]
"""Multiply-accumulates of a network (name, options) for one frame of a size."""


@dataclass(frozen=True)
class Settings:
    """What decides the plan.

    Attributes:
        recipes: the recipe of each group.
        seeds: of group seeds; the first one is that of the other groups.
        folds: drives to hold out.
        networks: of group seeds and drives.
        protocol: of groups seeds and ablation; None is what the layout implies.
        test: score the test split too.
    """

    recipes: Mapping[str, Recipe]
    seeds: tuple[int, ...] = (0, 1, 2)
    folds: tuple[str, ...] = ()
    networks: tuple[str, ...] = PAPER_ORDER
    protocol: str | None = None
    test: bool = False

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise OptionError(f"seeds are {list(self.seeds)}; one or more different ones are needed")
        for name in self.networks:
            if name not in PAPER_ORDER:
                raise UnknownNameError("network of the experiment", name, PAPER_ORDER)
        for group in self.recipes:
            if group not in GROUPS:
                raise UnknownNameError("group of the experiment", group, GROUPS)


def make_plan(settings: Settings, macs: Macs, *, order: Sequence[str] = DEFAULT_ORDER) -> list[PlannedRun]:
    """All runs in the order in which they are started.

    Args:
        settings: what to run; groups without a recipe are left out.
        macs: cost of a network, for the control of equal cost.
        order: groups after the first seed of all networks; those that it does not name come last.

    Raises:
        UnknownNameError: ``order`` names no group.
    """
    for group in order:
        if group not in GROUPS:
            raise UnknownNameError("group of the experiment", group, GROUPS)
    made = {group: _GROUP[group](settings, macs) for group in GROUPS if group in settings.recipes}
    ordered = [*dict.fromkeys([*order, *GROUPS])]
    first = [run for run in made.get("seeds", []) if run.seed == settings.seeds[0]]
    rest = [run for group in ordered for run in made.get(group, []) if run not in first]
    return first + rest


def _seeds(settings: Settings, _: Macs) -> list[PlannedRun]:
    base = _on(settings.recipes["seeds"], settings.protocol)
    scorings = [Scoring("train", settings.protocol, False), Scoring("val", settings.protocol, True)]
    if settings.test:
        scorings.append(Scoring("test", settings.protocol, True))
    names = [name for name in _FIRST if name in settings.networks]
    return [
        PlannedRun("seeds", Variant(name, name), seed, _with(base, Variant(name, name), seed), tuple(scorings))
        for seed in settings.seeds
        for name in names
    ]


def _drives(settings: Settings, macs: Macs) -> list[PlannedRun]:
    base = settings.recipes["drives"]
    variants = [Variant(name, name) for name in _FIRST if name in settings.networks]
    controls = (UNGATED, "depthwise_aaff", ("gate=none",)), (WIDENED, "depthwise_bisenet", None)
    for name, model, options in controls:
        if model in settings.networks:
            variants.append(Variant(name, model, options or (f"width={equal_width(base, macs)}",)))
    runs = []
    for fold in settings.folds:
        splits = f"train-without-{fold}", f"drive-{fold}"
        recipe = replace(base, protocol=DRIVES, train_split=splits[0])
        scorings = Scoring(splits[0], DRIVES, False), Scoring(splits[1], DRIVES, True)
        seed = settings.seeds[0]
        runs += [PlannedRun("drives", v, seed, _with(recipe, v, seed), scorings, fold) for v in variants]
    return runs


def _ablation(settings: Settings, _: Macs) -> list[PlannedRun]:
    base = _on(settings.recipes["ablation"], settings.protocol)
    variants = [
        Variant(f"{gate}-{fusion}", "depthwise_aaff", (f"gate={gate}", f"fusion={fusion}"))
        for fusion in ABLATION_FUSIONS
        for gate in ABLATION_GATES
    ]
    variants += [
        Variant("one-side", "depthwise_aaff", ("sides=1",)),
        Variant("no-spatial-path", "depthwise_aaff", ("spatial=false",)),
    ]
    scorings, seed = (Scoring("val", settings.protocol, True),), settings.seeds[0]
    return [PlannedRun("ablation", v, seed, _with(base, v, seed), scorings) for v in variants]


_GROUP: Mapping[str, Callable[[Settings, Macs], list[PlannedRun]]] = {
    "seeds": _seeds,
    "drives": _drives,
    "ablation": _ablation,
}


def _on(recipe: Recipe, protocol: str | None) -> Recipe:
    return recipe if protocol is None else replace(recipe, protocol=protocol)


def _with(recipe: Recipe, variant: Variant, seed: int) -> Recipe:
    return replace(recipe, model=variant.model, options=(*recipe.options, *variant.options), seed=seed)


_KNOWN_WIDTH = 1.418
"""At 480×360; other sizes come to the same or a neighbouring thousandth, so the search begins here."""


def equal_width(recipe: Recipe, macs: Macs) -> float:
    """Width of depthwise_bisenet, in thousandths, whose cost is nearest to that of depthwise_aaff.

    Args:
        recipe: its crop is the size at which costs are compared.
        macs: cost of a network; never falls with the width.
    """
    size = recipe.augment.crop
    target = macs("depthwise_aaff", recipe.options, size)

    def cost(thousandths: int) -> int:
        return macs("depthwise_bisenet", (*recipe.options, f"width={thousandths / 1000}"), size)

    low, high = round(1000 * _KNOWN_WIDTH) - 1, round(1000 * _KNOWN_WIDTH)
    if not cost(low) < target <= cost(high):
        low, high = 1000, 4000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if cost(middle) < target else (low, middle)
    return min((low, high), key=lambda width: abs(cost(width) - target)) / 1000


def total_cost(recipe: Recipe, frames: int, macs: Macs, *, epochs: int | None = None) -> float:
    """Multiply-accumulates of the forward passes of a run, by which its time is told.

    Args:
        recipe: of the run.
        frames: frames of its training split.
        macs: cost of a network.
        epochs: count the first so many only; all when left out.
    """
    size = recipe.augment.crop
    whole = macs(recipe.model, recipe.options, size)
    per_epoch = frames // recipe.batch * recipe.batch
    total = 0.0
    for epoch in range(recipe.epochs if epochs is None else epochs):
        crop = recipe.augment.crop_at(epoch, recipe.epochs)
        total += per_epoch * whole * (crop.width * crop.height) / (size.width * size.height)
    return total


def resized(recipe: Recipe, size: Size | None) -> Recipe:
    """The recipe for another size: its early views keep their share of the whole ones.

    >>> wide = resized(Recipe(), Size(800, 640))
    >>> wide.augment.crop
    Size(width=800, height=640)
    """
    if size is None:
        return recipe
    old, early = recipe.augment.crop, recipe.augment.early_crop
    if early is not None:
        early = Size(_eighths(size.width * early.width / old.width), _eighths(size.height * early.height / old.height))
    return replace(recipe, augment=replace(recipe.augment, crop=size, early_crop=early))


def _eighths(length: float) -> int:
    return max(8, 8 * round(length / 8))


def chosen_folds(available: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Drives to hold out: the wanted ones, or all.

    Args:
        available: splits of protocol camvid11-drives.
        wanted: names of drives.

    Raises:
        UnknownNameError: there is no such drive.
    """
    drives = [split.removeprefix("drive-") for split in available if split.startswith("drive-")]
    for name in wanted:
        if name not in drives:
            raise UnknownNameError("drive", name, drives)
    return tuple(wanted) or tuple(drives)


def run_folder(out: Path, run: PlannedRun) -> Path:
    """Where a run of the experiment in ``out`` lies."""
    return out / run.name
