"""The plan of the experiment: which networks are trained on what, by which recipe, in which order, at what cost.

Groups of runs (rules: ``docs/experiment``):

``seeds``            the paper's four networks and the two controls, the paper's recipe, trained on train.
``drives``           the six under ``camvid11-drives``: every drive held out once, one seed, 15 epochs.
``long-drives``      depthwise_aaff, depthwise_bisenet and the controls with 3.2 times the steps and every seed.
``ablation``         depthwise_aaff: gate × fusion, one side, no spatial path; a short recipe, one seed.
``modern``           AAFF blocks on a pretrained backbone against none, every seed (``experiments.paper.modern``).
``modern-ablation``  the choices of aaff_lite0 one by one, one seed.
``modern-drives``    aaff_lite0 with every drive held out once, its choices with the first one; that recipe, one seed.

A run is a network, a recipe and a folder; nothing here trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aaff.data.protocols import DRIVES
from aaff.errors import OptionError, UnknownNameError
from aaff.preprocess import Size
from aaff.training.recipe import Recipe
from experiments.paper import modern
from experiments.paper.groups import DEFAULT_ORDER, GROUPS
from experiments.runner.planned import Macs, PlannedRun, Scoring, Variant

PAPER_ORDER = ("bisenet", "depthwise_bisenet", "depthwise_aaff", "depthwise_aaff2")
"""The four networks as the paper's Table 1 lists them."""

UNGATED, WIDENED = "depthwise_aaff-ungated", "depthwise_bisenet-widened"
"""The two controls: DepthwiseAAFF without gates, DepthwiseBiSeNet at the cost of DepthwiseAAFF."""

ABLATION_GATES = ("sigmoid", "relu", "hard_sigmoid", "none")
ABLATION_FUSIONS = ("concat", "add")

PAIR = ("depthwise_aaff", "depthwise_bisenet")
"""The two networks that the question is about; each has a control."""

_FIRST = (*PAIR, "bisenet", "depthwise_aaff2")
"""Running order within a seed: the pair that the question is about comes first."""

CONTROL_SEEDS = (1, 2, 3)
"""Seeds of the controls in group seeds.  The published runs of seed 0 are bf16, which few processors have."""


@dataclass(frozen=True)
class Settings:
    """What decides the plan.

    Attributes:
        recipes: the recipe of each group.
        seeds: of groups seeds, long-drives and modern; the first one is that of the other groups.
        folds: drives to hold out.
        networks: of groups seeds, drives and long-drives.
        protocol: of the groups that hold out no drive; None is what the layout implies.
        test: score the test split too.
        control_seeds: of the two controls in group seeds, and of depthwise_aaff beside them where ``seeds`` lacks one;
            none leaves the controls out.
    """

    recipes: Mapping[str, Recipe]
    seeds: tuple[int, ...] = (0, 1, 2)
    folds: tuple[str, ...] = ()
    networks: tuple[str, ...] = PAPER_ORDER
    protocol: str | None = None
    test: bool = False
    control_seeds: tuple[int, ...] = CONTROL_SEEDS

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
    made: dict[str, list[PlannedRun]] = {
        group: _GROUP[group](settings, macs) for group in GROUPS if group in settings.recipes
    }
    ordered = [*dict.fromkeys([*order, *GROUPS])]
    four = [run for run in made.get("seeds", []) if run.variant.name in PAPER_ORDER]
    first = [run for run in four if run.seed == settings.seeds[0]]
    rest = [run for group in ordered for run in made.get(group, []) if run not in first]
    return first + rest


def _seeds(settings: Settings, macs: Macs) -> list[PlannedRun]:
    """The four networks, then the controls, each beside the network that it is compared with."""
    base = _on(settings.recipes["seeds"], settings.protocol)
    scorings = [Scoring("train", settings.protocol, False), Scoring("val", settings.protocol, True)]
    if settings.test:
        scorings.append(Scoring("test", settings.protocol, True))
    four, controls = _four(settings), _controls(settings, base, macs) if settings.control_seeds else []
    planned = [(variant, seed) for seed in settings.seeds for variant in four]
    partner = [variant for variant in four if variant.name == PAIR[0]]
    for seed in settings.control_seeds:
        planned += [(variant, seed) for variant in (*partner, *controls) if (variant, seed) not in planned]
    return [
        PlannedRun("seeds", variant, seed, _with(base, variant, seed), tuple(scorings)) for variant, seed in planned
    ]


def _four(settings: Settings) -> list[Variant]:
    return [Variant(name, name) for name in _FIRST if name in settings.networks]


def _controls(settings: Settings, base: Recipe, macs: Macs) -> list[Variant]:
    """The controls of those of the four that are planned."""
    made = []
    if "depthwise_bisenet" in settings.networks:
        made.append(Variant(WIDENED, "depthwise_bisenet", (f"width={equal_width(base, macs)}",)))
    if "depthwise_aaff" in settings.networks:
        made.append(Variant(UNGATED, "depthwise_aaff", ("gate=none",)))
    return made


def _drives(settings: Settings, macs: Macs) -> list[PlannedRun]:
    controls = _controls(settings, settings.recipes["drives"], macs)
    return _held_out("drives", settings, settings.seeds[:1], [*_four(settings), *controls])


def _long_drives(settings: Settings, macs: Macs) -> list[PlannedRun]:
    pair = [variant for variant in _four(settings) if variant.name in PAIR]
    controls = _controls(settings, settings.recipes["long-drives"], macs)
    return _held_out("long-drives", settings, settings.seeds, [*pair, *controls])


def _modern_drives(settings: Settings, _: Macs) -> list[PlannedRun]:
    first, seeds = settings.folds[:1], settings.seeds[:1]
    choices = [*modern.COMPARISON[1:], *modern.ABLATION]
    return [
        *_held_out("modern-drives", settings, seeds, [modern.AAFF]),
        *_held_out("modern-drives", settings, seeds, choices, first),
    ]


def _held_out(
    group: str,
    settings: Settings,
    seeds: Sequence[int],
    variants: Sequence[Variant],
    folds: Sequence[str] | None = None,
) -> list[PlannedRun]:
    """Every drive, or each of ``folds``, held out once, for each seed."""
    base = settings.recipes[group]
    runs = []
    for seed in seeds:
        for fold in settings.folds if folds is None else folds:
            splits = f"train-without-{fold}", f"drive-{fold}"
            recipe = replace(base, protocol=DRIVES, train_split=splits[0])
            scorings = Scoring(splits[0], DRIVES, False), Scoring(splits[1], DRIVES, True)
            runs += [PlannedRun(group, v, seed, _with(recipe, v, seed), scorings, fold) for v in variants]
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


def _modern(settings: Settings, _: Macs) -> list[PlannedRun]:
    return modern.comparison(settings.recipes["modern"], settings.seeds, settings.protocol)


def _modern_ablation(settings: Settings, _: Macs) -> list[PlannedRun]:
    return modern.ablation(settings.recipes["modern-ablation"], settings.seeds[0], settings.protocol)


_GROUP: Mapping[str, Callable[[Settings, Macs], list[PlannedRun]]] = {
    "seeds": _seeds,
    "drives": _drives,
    "long-drives": _long_drives,
    "ablation": _ablation,
    "modern": _modern,
    "modern-ablation": _modern_ablation,
    "modern-drives": _modern_drives,
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
