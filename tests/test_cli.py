"""The command line's frame: finding a verb, reading options, telling errors, exit statuses."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Literal

import cv2
import pytest
import tyro

from aaff import __version__
from aaff.cli import VERBS, demo, main, parse_words
from aaff.cli.options import parse
from aaff.errors import DataError, OptionError
from aaff.installation import install_command
from aaff.labels import CAMVID11
from aaff.networks import create_model, list_models
from aaff.networks.complexity import count
from aaff.preprocess import Size

ROOT = Path(__file__).parents[1]


@dataclass
class Inner:
    crop: Size | None = None
    """Crop."""
    flip: bool = True
    """Flip."""
    scale: tuple[float, float] = (0.75, 2.0)
    """Scale."""


@dataclass
class Outer:
    """An example of a verb's options."""

    source: tyro.conf.Positional[Path]
    """Where to look."""
    model: str
    """Which network."""
    precision: Literal["fp32", "int8"] = "fp32"
    """How exact."""
    epochs: int = 3
    """How long."""
    augment: Inner = field(default_factory=Inner)


def sentence(*words: str) -> str:
    with pytest.raises(OptionError) as error:
        parse(Outer, words, prog="aaff x")
    return str(error.value)


class TestOptions:
    def test_nested_options_sizes_and_pairs(self) -> None:
        words = "in --model m --augment.crop 960x720 --augment.no-flip --augment.scale 0.5 1.5".split()
        args = parse(Outer, words, prog="aaff x")
        assert args == Outer(Path("in"), "m", augment=Inner(Size(960, 720), False, (0.5, 1.5)))

    def test_a_later_word_wins_so_that_flags_stand_after_a_recipe(self) -> None:
        recipe = ["--epochs", "60", "--augment.no-flip", "--augment.crop", "480x360"]
        flags = ["in", "--model", "m", "--epochs", "5", "--augment.flip", "--augment.crop", "96x64"]
        args = parse(Outer, recipe + flags, prog="aaff x")
        assert (args.epochs, args.augment) == (5, Inner(Size(96, 64), True))

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("in --model m --epoch 4", "aaff x has no option --epoch; did you mean --epochs?"),
            ("in --model m --augment.flp", "aaff x has no option --augment.flp; did you mean --augment.flip?"),
            ("in --model m --zzz 4", "aaff x has no option --zzz; see aaff x --help"),
            ("in --modl m", "aaff x has no option --modl; did you mean --model?"),
            ("--model m", "aaff x needs SOURCE; see aaff x --help"),
            ("in", "aaff x needs --model STR; see aaff x --help"),
            ("", "aaff x needs SOURCE and --model STR; see aaff x --help"),
            ("in --model", "--model needs a value; see aaff x --help"),
            ("in --model m --epochs ten", "--epochs: 'ten' is not a whole number; see aaff x --help"),
            ("in --model m --precision int4", "--precision cannot be 'int4'; did you mean 'int8'? valid: fp32, int8"),
            ("in out --model m", "unexpected argument out; see aaff x --help"),
            ("in --model=", "an argument of aaff x is empty"),
            (
                "in --model m --augment.crop 480",
                "--augment.crop: size '480' is not WIDTHxHEIGHT",
            ),
        ],
    )
    def test_what_cannot_be_read_is_one_sentence(self, words: str, said: str) -> None:
        assert sentence(*words.split()).startswith(said)

    def test_a_terminal_without_utf_8_gets_the_same_sentence(self) -> None:
        plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        with contextlib.redirect_stdout(plain):
            assert sentence("in", "--model", "m", "--epochs", "ten").startswith("--epochs: 'ten' is not a whole number")
            assert sentence() == "aaff x needs SOURCE and --model STR; see aaff x --help"


class TestVerbs:
    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_has_options_and_help(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        module = importlib.import_module(f"aaff.cli.{verb.replace(' ', '_')}")
        assert is_dataclass(module.Args)
        assert callable(module.run)
        assert main([*verb.split(), "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"aaff {verb}" in shown
        assert all(option.replace("_", "-") in shown.lower() for option in module.Args.__dataclass_fields__)
        assert "None)" not in shown  # an option that may be left out says in words what then happens

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_mistyped_option_is_status_2(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*verb.split(), "--no-such-option"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"aaff: aaff {verb} has no option --no-such-option")
        assert said.err.count("\n") == 1

    def test_help_lists_every_verb(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--help"]) == 0
        shown = capsys.readouterr().out
        assert all(f"aaff {verb}" in shown and text in shown for verb, text in VERBS.items())

    def test_help_of_a_group_lists_its_verbs_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["data", "--help"]) == 0
        shown = capsys.readouterr().out
        assert "aaff data check" in shown
        assert "aaff train" not in shown

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"aaff {__version__}\n"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("trian", "unknown command 'trian'; did you mean 'train'?"),
            ("data chek", "unknown command aaff data 'chek'; did you mean 'check'?"),
            ("data", "aaff data needs one of init, check, stats, scenes; see aaff data --help"),
            ("--size 4x4", "--size must stand after a command"),
        ],
    )
    def test_a_mistyped_verb_names_the_nearest(self, words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(words.split()) == 2
        assert said in capsys.readouterr().err

    def test_no_verb_is_status_2_with_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        assert "aaff train" in capsys.readouterr().err


class TestErrors:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
        """A verb ``models`` that raises what the test puts into the list."""
        module = ModuleType("aaff.cli.models")
        raised: list[BaseException] = []

        @dataclass
        class Args:
            """Nothing."""

        def run(_: Args) -> int:
            raise raised[0]

        module.Args, module.run = Args, run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "aaff.cli.models", module)
        return raised

    @pytest.mark.parametrize(
        ("error", "status", "said"),
        [
            (DataError("there is no folder x"), 2, "aaff: there is no folder x\n"),
            (DataError("there is no file \x1b[31ma\0"), 2, "aaff: there is no file \\x1b[31ma\\x00\n"),
            (DataError("a" * 3000), 2, f"aaff: {'a' * 1000} … {'a' * 1000}\n"),
            (KeyboardInterrupt(), 130, "aaff: interrupted\n"),
            (MemoryError(), 2, "aaff: out of memory; try a smaller batch, a smaller size or fewer workers\n"),
            (
                cv2.error("OpenCV alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 30000000000 bytes"),
                2,
                "aaff: out of memory; try a smaller batch, a smaller size or fewer workers\n",
            ),
            (
                OSError(errno.ENOSPC, "No space left on device", "a.png"),
                2,
                "aaff: the disk is full (a.png); free some space and run the same command again\n",
            ),
            (
                PermissionError(errno.EACCES, "Permission denied", "a.png"),
                2,
                "aaff: no permission to use a.png; choose a folder of your own\n",
            ),
            (
                ModuleNotFoundError("No module named 'torch'", name="torch"),
                2,
                f"aaff: torch is not installed; install it with: {install_command('train')}\n",
            ),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_one_sentence_and_a_status(
        self,
        failing: list[BaseException],
        error: BaseException,
        status: int,
        said: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        failing.append(error)
        assert main(["models"]) == status
        assert capsys.readouterr().err == said

    def test_a_current_folder_that_was_removed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("os.getcwd", lambda: os.stat("/does not exist"))
        assert main(["models"]) == 2
        assert "current folder" in capsys.readouterr().err

    @pytest.mark.parametrize("error", [ZeroDivisionError(), ModuleNotFoundError("x", name="aaff.oops")])
    def test_a_defect_of_ours_keeps_its_traceback(self, failing: list[BaseException], error: Exception) -> None:
        failing.append(error)
        with pytest.raises(type(error)):
            main(["models"])

    def test_a_reader_that_goes_away_is_quiet(self) -> None:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-m", "aaff", "--help"], stdout=write, stderr=subprocess.PIPE, check=False, text=True
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (141, "")


class TestModels:
    def test_lists_all_with_their_counts(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models"]) == 0
        shown = capsys.readouterr().out
        assert re.search(r"depthwise_aaff .* 2,116,035 +4,103,430,080 +4", shown)
        assert "Y. Cheng" in shown

    def test_layers_of_one_add_up(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "bisenet.json"
        assert main(["models", "bisenet", "--classes", "32", "--size", "800x640", "--json", str(file)]) == 0
        shown = capsys.readouterr().out
        parameters = sum(p.numel() for p in create_model("bisenet", 32).parameters())
        assert f"{parameters:,}" in shown
        assert "tail.classify" in shown
        told = json.loads(file.read_text())["bisenet"]
        assert (told["parameters"], told["macs"], told["size"]) == (parameters, 16_762_436_608, "800x640")

    def test_a_pattern_narrows_the_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "depthwise_aaff*"]) == 0
        assert "bisenet " not in capsys.readouterr().out

    def test_a_trained_model_is_shown_with_its_network(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "street"]) == 0
        shown = capsys.readouterr().out
        assert "aaff models aaff_lite0" in shown
        assert re.search(r"^ street .* \d\d\.\d \(val\)", shown, re.M), "its score stands in the file"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([""], "is empty"),
            (["bisnet"], "unknown model 'bisnet'; did you mean 'bisenet'?"),
            (["x*"], "no network is called 'x*'"),
            (["--classes", "0"], "at least 1 class"),
        ],
    )
    def test_bad_input(self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", *words]) == 2
        assert said in capsys.readouterr().err


def fenced_commands(page: Path) -> list[str]:
    """Every ``aaff …`` line in the fenced blocks of a page, continued lines joined."""
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.M | re.S)
    shells = (dedent(text) for language, text in blocks if language in ("sh", "bash", "console", ""))
    lines = "\n".join(shells).replace("\\\n", " ").splitlines()
    commands = (" ".join(line.removeprefix("$ ").split("  #")[0].split()) for line in lines)
    return [command for command in commands if command.startswith("aaff ")]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = [pytest.param(command, id=f"{page.name}: {command}") for page in PAGES for command in fenced_commands(page)]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_in_the_documentation_are_valid(command: str) -> None:
    # The run that --resume resumes and the module that --import imports are on the reader's disk, not here.
    words = shlex.split(re.sub(r" --resume\b| --import \S+", "", command))[1:]
    module, args = parse_words(words)
    assert isinstance(args, module.Args)


def test_the_readme_shows_commands_and_true_counts() -> None:
    page = ROOT / "README.md"
    assert len(fenced_commands(page)) >= 5
    told = re.findall(r"^\| `(\w+)` \| ([\d.]+) M \| ([\d.]+) G \|", page.read_text(encoding="utf-8"), re.M)
    assert [name for name, _, _ in told] == list_models()
    for name, parameters, macs in told:
        cost = count(name)
        assert float(parameters) == pytest.approx(cost.parameters / 1e6, abs=0.006)
        assert float(macs) == pytest.approx(cost.macs / 1e9, abs=0.006)


class TestDemo:
    def test_its_commands_are_ones_a_user_can_type(self, tmp_path: Path) -> None:
        lines = demo.commands(demo.Args(), tmp_path / "demo")
        verbs = [parse_words(words)[0].__name__.removeprefix("aaff.cli.") for words in lines]
        assert verbs == ["data_scenes", "data_check", "train", "evaluate", "export", "predict"]

    def test_a_second_demo_leaves_the_first_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "demo").mkdir()
        (tmp_path / "demo" / "mine.png").touch()
        seen: list[list[str]] = []
        monkeypatch.setattr("aaff.cli.main", lambda words: seen.append(words) or 0)
        scores = {"split": "val", "miou": 0.5, "pixel_accuracy": 0.8, "per_class": {"sky": {"iou": None}}}
        monkeypatch.setattr("aaff.files.read_json", lambda path: scores)
        assert demo.run(demo.Args(out=tmp_path / "demo")) == 0
        told = capsys.readouterr().out
        assert str(tmp_path / "demo-2" / "maps") in told
        assert str(tmp_path / "demo-2" / "report.html") in told
        report = (tmp_path / "demo-2" / "report.html").read_text(encoding="utf-8")
        assert "80.0 %" in report
        assert f"rgb{CAMVID11.colors[0]}" in report
        assert len(seen) == 6
        assert str(tmp_path / "demo-2" / "streets") in seen[0]

    def test_without_torch_it_stops_before_anything_is_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
        told = capsys.readouterr().err
        assert "torch" in told
        assert "[train]" in told
        assert list(tmp_path.iterdir()) == []

    def test_stops_at_the_first_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[list[str]] = []
        monkeypatch.setattr("aaff.cli.main", lambda words: seen.append(words) or len(seen) - 1)
        assert demo.run(demo.Args(out=tmp_path / "demo")) == 1
        assert len(seen) == 2
