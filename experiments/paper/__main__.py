"""``python -m experiments.paper``: the paper's experiment, from the first run to the report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aaff.preprocess import Size
from experiments.paper.groups import DEFAULT_ORDER, HOLDING_OUT, SEVERAL_SEEDS, Group
from experiments.runner.command import full_recipe, print_status, say

if TYPE_CHECKING:
    from experiments.paper.experiment import Experiment
    from experiments.runner.planned import PlannedRun

RECIPES = Path(__file__).with_name("recipes")
"""The recipes that only the experiment needs."""

WEIGHTS = Path(__file__).parents[2] / "weights"
"""Published weights of the repository; they show the maps of results whose checkpoints are gone."""

Part = Literal[Group, "fault"]

PLANNED_SEEDS = (0, 1, 2)

MODERN = ("modern", "modern-ablation")
"""Groups that train on street photos too."""


@dataclass(kw_only=True)
class Args:
    """Train the paper's networks as its experiment should have been, and write its sections IV and V anew.

    The command works through a plan: interrupt it at any moment and give it again to resume.  Groups:
    seeds (six networks, three seeds), drives (every drive held out once), long-drives (four of them with more steps and
    three seeds), ablation (the AAFF block taken apart), modern (AAFF blocks on a pretrained backbone against none),
    modern-ablation (its choices one by one), modern-drives (the same network and choices, scored on held-out drives),
    fault (the published error at small scale).
    """

    data: Path | None = None
    """Folder of the data set. Not needed with --miniature, nor with --report-only --publish, which then rebuilds the
    published pages from results and weights alone."""
    streets: Path | None = None
    """Folder of street photos with merged labels (scripts.prepare_streets), for the groups modern and modern-ablation,
    which are scored on them too; without it these groups are skipped."""
    minutes: float | None = None
    """Stop after this many minutes; the same command resumes. Default: when all is done."""
    out: Path = Path("runs/experiment")
    """Folder of the experiment: its runs, and its report unless --publish names another place."""
    only: tuple[Part, ...] = ()
    """Work on these groups alone; the plan and the report keep all of them."""
    order: tuple[Group, ...] = DEFAULT_ORDER
    """Groups in this order, after the first seed of all networks."""
    seeds: tuple[int, ...] = ()
    """Of groups with several seeds, work on these alone; the plan has 0, 1 and 2, for the controls in seeds 1, 2 and 3.
    Others that are named here are planned for the controls and their partner."""
    folds: tuple[str, ...] = ()
    """Of groups that hold out drives, hold out these alone; the plan has all."""
    networks: tuple[str, ...] = ()
    """Work on these networks alone: a network with its variants (depthwise_aaff), or one variant by its name in the
    plan (depthwise_aaff-ungated)."""
    status: bool = False
    """Show what is done, what is left and how long it will take, and start nothing."""
    report_only: bool = False
    """Train nothing: score what is trained, and write the report."""
    test_split: bool = False
    """Score the test split too, with every seed whose checkpoint or published weights are there; the report says how
    many.  Once for a release, since a split that is scored often no longer tests anything."""
    publish: Path | None = None
    """Root of a repository: write docs/experiment, results/experiment and weights there, with synthetic streets for
    frames.  Give it again as runs finish: every finished run is a file of its own, to be committed."""
    results: Path | None = None
    """Results of finished runs, which are not trained again even if their folders are gone; default:
    results/experiment of --publish."""
    bench: tuple[Path, ...] = ()
    """Files that aaff bench --json wrote, for the chapter about speed."""
    miniature: bool = False
    """The same in minutes: four networks, small and short, on synthetic streets or the frames of --data; one seed, no
    drives.  Its scores mean nothing; make demo runs it."""
    jobs: int | None = None
    """Runs side by side; default: one per core, which finishes more work than several threads per run."""
    threads: int | None = None
    """Threads of each run; default: 1."""
    recipe: str = "paper"
    """Recipe of group seeds: a bundled one or a YAML file."""
    drives_recipe: str | None = None
    """Recipe of group drives; default: experiments/paper/recipes/drives.yaml."""
    ablation_recipe: str | None = None
    """Recipe of group ablation; default: experiments/paper/recipes/ablation.yaml."""
    size: Size | None = None
    """Size of the views in every group, such as 800x640 for the 960x720 originals; default: the recipes'."""
    protocol: str | None = None
    """Classes of groups seeds and ablation, such as camvid32; default: what the data set's layout implies."""
    layout: str | None = None
    """Layout of the data set, where the guess is wrong."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and work on the experiment; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m experiments.paper")))


def run(args: Args) -> int:
    """Status 0 when all that was asked for is done, 1 when a run failed, 130 when interrupted."""
    from aaff.errors import OptionError
    from experiments.runner.work import share_cores

    if args.miniature:
        from experiments.paper.miniature import run_miniature

        out = args.out if args.out != Args.out else Path("runs/miniature")
        page = run_miniature(out, full_recipe("demo"), data=args.data, jobs=args.jobs, threads=args.threads, say=say)
        print_answer(page.parent / "results")
        print(f"report: {page}")
        return 0
    if args.data is None and args.report_only and args.publish is not None:
        from experiments.paper.publish import republish

        page = republish(args.publish, args.out / "pictures" / "drawn")
        print_answer(args.publish / "results" / "experiment")
        print(f"report: {page}")
        return 0
    if args.data is None:
        raise OptionError(
            "python -m experiments.paper needs --data DIR; --miniature, and --report-only with --publish, need none"
        )
    experiment = make_experiment(args, args.data)
    chosen = choose(experiment.runs, args)
    jobs, threads = share_cores(args.jobs, args.threads)
    if args.status:
        print_status(experiment, chosen, jobs, threads)
        return 0
    experiment.check()
    results = archive_of(args) or args.out / "report" / "results"
    if not args.report_only and (not args.only or "fault" in args.only):
        experiment.fault(results)
    status = experiment.work(
        chosen,
        jobs,
        threads,
        train=not args.report_only,
        minutes=args.minutes,
        scored=lambda run: experiment.keep(results),
    )
    if status == 130:
        print("interrupted; give the same command again to resume")
        return status
    print("writing the report", flush=True)
    if args.publish is None:
        page = experiment.report(args.out / "report", results, drawn=False, speed=args.bench, weights=WEIGHTS)
    else:
        weights = args.publish / "weights"
        folder = args.publish / "docs" / "experiment"
        experiment.score_published(results, weights)
        page = experiment.report(folder, results, drawn=True, speed=args.bench, weights=weights)
        for path in experiment.publish_weights(results, weights, args.recipe):
            print(f"weights: {path}")
    print_answer(results)
    print(f"report: {page}")
    return status


def archive_of(args: Args) -> Path | None:
    """Folder of results that count as done runs: what --results or --publish names."""
    if args.results is None and args.publish is not None:
        return args.publish / "results" / "experiment"
    return args.results


def make_experiment(args: Args, data: Path) -> Experiment:
    """The experiment that the options describe.

    Raises:
        AaffError: an option, a recipe or the data set cannot be used.
    """
    from aaff.data import splits
    from aaff.errors import DataError, OptionError
    from experiments.paper.experiment import Experiment, all_folds
    from experiments.paper.plan import CONTROL_SEEDS, Settings, resized

    if not data.is_dir():
        raise DataError(f"there is no folder {data}")
    names = {
        "seeds": args.recipe,
        "drives": args.drives_recipe or str(RECIPES / "drives.yaml"),
        "long-drives": str(RECIPES / "long-drives.yaml"),
        "ablation": args.ablation_recipe or str(RECIPES / "ablation.yaml"),
        "modern-drives": str(RECIPES / "modern.yaml"),
    }
    if args.streets is not None:
        names |= dict.fromkeys(MODERN, str(RECIPES / "modern.yaml"))
    elif set(MODERN) & set(args.only):
        raise OptionError("groups modern and modern-ablation need --streets DIR")
    recipes = {group: resized(full_recipe(name), args.size) for group, name in names.items()}
    folds: tuple[str, ...] = ()
    try:
        folds = all_folds(data, args.layout)
    except DataError as error:
        if set(HOLDING_OUT) & set(args.only) or args.folds:
            raise
        print(f"without groups {', '.join(HOLDING_OUT)}: {error}")
        recipes = {group: recipe for group, recipe in recipes.items() if group not in HOLDING_OUT}
    if args.test_split and "test" not in splits(data, args.layout):
        print(f"{data} has no test split: the report will say so, and --report-only adds it later")
    further = [seed for seed in args.seeds if seed not in (*PLANNED_SEEDS, *CONTROL_SEEDS)]
    settings = Settings(
        recipes=recipes,
        seeds=PLANNED_SEEDS,
        control_seeds=(*CONTROL_SEEDS, *further),
        folds=folds,
        protocol=args.protocol,
        test=args.test_split and "test" in splits(data, args.layout),
    )
    order = tuple(group for group in args.order if group in recipes)
    return Experiment(
        data,
        args.out,
        settings,
        layout=args.layout,
        others={"streets": args.streets} if args.streets is not None else {},
        order=order,
        archive=archive_of(args),
        say=say,
    )


def choose(runs: Sequence[PlannedRun], args: Args) -> list[PlannedRun]:
    """The runs of the plan that this call works on.

    Raises:
        UnknownNameError: a drive or network that the plan does not have.
    """
    from aaff.errors import UnknownNameError

    known = {run.fold for run in runs if run.fold}
    for fold in args.folds:
        if fold not in known:
            raise UnknownNameError("drive", fold, known)
    networks = {name for run in runs for name in (run.variant.model, run.variant.name)}
    for name in args.networks:
        if name not in networks:
            raise UnknownNameError("network of the plan", name, networks)
    return [
        run
        for run in runs
        if (not args.only or run.group in args.only)
        and (run.group not in SEVERAL_SEEDS or not args.seeds or run.seed in args.seeds)
        and (not run.fold or not args.folds or run.fold in args.folds)
        and (not args.networks or {run.variant.model, run.variant.name} & set(args.networks))
    ]


def print_answer(results: Path) -> None:
    """The sentences at the top of the report."""
    from aaff.files import read_json

    for sentence in read_json(results / "answer.json")["sentences"]:
        print(sentence.replace("**", ""))


if __name__ == "__main__":
    sys.exit(main())
