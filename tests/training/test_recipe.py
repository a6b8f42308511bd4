"""Recipes: every file parses, mistakes are named, flags win, and what contradicts itself is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from aaff.cli import parse_words
from aaff.errors import AaffError, OptionError, UnknownNameError
from aaff.networks import create_model, list_models
from aaff.preprocess import Size
from aaff.training.recipe import Recipe, list_recipes, read_recipe, to_flags

FOLDER = Path(__file__).parents[2] / "recipes"


def parsed(*words: str) -> Any:
    return parse_words(["train", "--data", "d", "--out", "o", *words])[1]


def sentence(*words: str) -> str:
    with pytest.raises(AaffError) as error:
        parsed(*words)
    return str(error.value)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


class TestBundled:
    def test_every_file_is_listed(self) -> None:
        assert list_recipes() == sorted(path.stem for path in FOLDER.glob("*.yaml"))

    @pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
    def test_parses_to_what_it_says(self, name: str) -> None:
        recipe = parsed("--recipe", name)
        effective = Recipe(**{name: getattr(recipe, name) for name in Recipe.__dataclass_fields__}).to_dict()
        for key, value in read_recipe(name).items():
            for inner, wanted in (value if isinstance(value, dict) else {key: value}).items():
                got = effective[key][inner] if isinstance(value, dict) else effective[key]
                assert got == (float(wanted) if isinstance(got, float) else wanted)

    @pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
    @pytest.mark.parametrize("model", list_models())
    def test_suits_every_network(self, name: str, model: str) -> None:
        args = parsed("--recipe", name, *([] if "model" in read_recipe(name) else ["--model", model]))
        if args.options:
            with torch.device("meta"):  # no weights: those of ImageNet come with a package of their own
                create_model(args.model, 11, **args.network_options())


class TestReading:
    def test_flags_win_over_the_file_and_the_file_over_the_defaults(self, write: Any) -> None:
        name = write("epochs: 7\noptim: {lr: 1e-2, warmup: 2}\n")
        args = parsed("--recipe", name, "--optim.lr", "5e-4")
        assert (args.epochs, args.optim.lr, args.optim.warmup, args.batch) == (7, 5e-4, 2.0, Recipe.batch)

    def test_a_number_that_yaml_reads_as_text_is_a_number(self, write: Any) -> None:
        assert parsed("--recipe", write("optim: {lr: 5e-4}")).optim.lr == 5e-4

    def test_lists_bools_sizes_and_lists_of_options(self, write: Any) -> None:
        text = "options: [gate=none, width=0.5]\nloss: {auxiliary: [1, 0.5]}\nengine: {cache: false}\n"
        args = parsed("--recipe", write(text + "augment: {crop: 96x64}\n"))
        assert args.network_options() == {"gate": "none", "width": 0.5}
        assert args.loss.auxiliary == (1.0, 0.5)
        assert args.engine.cache is False
        assert args.augment.crop == Size(96, 64)

    def test_an_effective_recipe_reads_back_as_itself(self) -> None:
        recipe = Recipe(
            options=("gate=none",), epochs=3, warm_start="a.safetensors", protocol="camvid11", val_split="none"
        )
        args = parse_words(["train", "--data", "d", "--out", "o", *to_flags(recipe.to_dict(), "it")])[1]
        assert Recipe(**{name: getattr(args, name) for name in Recipe.__dataclass_fields__}) == recipe

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("epoch: 3", "'epochs'"),
            ("optim: {learning: 3}", "'optim.learning'"),
            ("optim: {lrr: 3}", "'optim.lr'"),
            ("optim: 3", "optim"),
            ("epochs: {a: 3}", "epochs"),
            ("- a", "KEY: VALUE"),
            ("a: [", "YAML"),
        ],
    )
    def test_mistakes_are_named(self, write: Any, text: str, said: str) -> None:
        name = write(text)
        told = sentence("--recipe", name)
        assert said in told
        assert name in told
        assert "\n" not in told

    def test_a_value_that_cannot_be_read(self, write: Any) -> None:
        assert sentence("--recipe", write("epochs: many")).startswith("--epochs: 'many' is not a whole number")

    def test_unknown_recipes_name_the_nearest(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'quick'"):
            read_recipe("quik")
        with pytest.raises(OptionError, match=r"nowhere\.yaml"):
            read_recipe("nowhere.yaml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--repeat 0", "repeat"),
        ("--bn-batches -1", "bn_batches"),
        ("--augment.paste 2", "augment.paste"),
        ("--loss.terms dice", "dice"),
        ("--loss.temperature 0", "loss.temperature"),
        ("--epochs 0", "epochs"),
        ("--batch 0", "batch"),
        ("--eval-every 0", "eval_every"),
        ("--render-every -1", "render_every"),
        ("--seed -1", "seed"),
        ("--engine.workers -1", "engine.workers"),
        ("--batch 8 --engine.accumulate 3", "engine.accumulate"),
        ("--engine.accumulate 0", "engine.accumulate"),
        ("--loss.ohem-keep 0", "loss.ohem_keep"),
        ("--augment.early-crop 96x64", "augment.early_share"),
        ("--augment.early-share 0.5", "augment.early_crop"),
        ("--augment.scale-min 2 --augment.scale-max 1", "augment.scale_min"),
        ("--augment.flip 2", "augment.flip"),
        ("--augment.jitter 1", "augment.jitter"),
        ("--size 960x720 --augment.width 480", "augment.width"),
        ("--options gate", "NAME=VALUE"),
        ("--options =3", "NAME=VALUE"),
    ],
)
def test_contradictions_are_refused_before_anything_is_read(words: str, said: str) -> None:
    assert said in sentence(*words.split())
