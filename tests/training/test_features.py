"""What a recipe can do beyond the plain training, each through ``aaff train`` or the public function."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from aaff.card import ModelCard
from aaff.cli import main
from aaff.data.layouts import write_dataset
from aaff.data.sample import Sample
from aaff.labels import CAMVID11, LabelMap
from aaff.networks import create_model
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.preprocess import Size
from aaff.training.objective import distillation
from aaff.training.progress import Reporter
from aaff.training.run_folder import STATE
from aaff.training.state import load_snapshot
from tests.training.processes import words

SMALL = {"width": 0.25, "sides": 1, "spatial": False}

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Run ``aaff train``, expect status 2 before the first step, and return its one sentence."""

    def step(*args: object) -> None:
        pytest.fail("a step was done")

    def refused(data: Path, *more: str) -> str:
        monkeypatch.setattr(Reporter, "step", step)
        assert main(words(data, tmp_path / "refused", *more)) == 2
        return capsys.readouterr().err.splitlines()[-1]

    return refused


def checkpoint(path: Path, labels: LabelMap = CAMVID11) -> Path:
    torch.manual_seed(1)
    net = create_model("depthwise_aaff", labels.num_classes, **SMALL)
    save_checkpoint(path, net.state_dict(), ModelCard("depthwise_aaff", SMALL, labels, labels.name, Size(72, 56)))
    return path


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return read_checkpoint(run / f"{name}.safetensors")[0]


class TestTimeLimit:
    def test_stops_resumable_and_the_rest_gives_the_same_weights(
        self, blocks_dir: Path, trained: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        assert main(words(blocks_dir, run, "--minutes", "1e-9")) == 0
        assert load_snapshot(run / STATE).position.step == 1
        assert main(words(blocks_dir, run, "--resume")) == 0
        found = weights(run)
        assert all(torch.equal(value, found[name]) for name, value in weights(trained).items())

    def test_must_be_positive(self, blocks_dir: Path, refused: Refused) -> None:
        assert "--minutes" in refused(blocks_dir, "--minutes", "0")


class TestWarmStart:
    def test_takes_the_folder_of_a_run(self, blocks_dir: Path, trained: Path, tmp_path: Path) -> None:
        more = ["--warm-start", str(trained), "--optim.lr", "1e-12", "--epochs", "1"]
        assert main(words(blocks_dir, tmp_path / "run", *more)) == 0
        name = "tail.classify.weight"
        torch.testing.assert_close(weights(tmp_path / "run")[name], weights(trained, "best")[name])

    def test_its_licence_and_data_stay_with_the_weights(self, blocks_dir: Path, tmp_path: Path) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        assert main(words(blocks_dir, first)) == 0
        state, card = read_checkpoint(first / "best.safetensors")
        save_checkpoint(first / "best.safetensors", state, replace(card, licence="research only"))
        again = words(blocks_dir, second, "--warm-start", str(first))
        assert main([*again, "--minutes", "1e-9"]) == 0
        shutil.rmtree(first)
        assert main([*again, "--resume"]) == 0
        found = read_checkpoint(second / "last.safetensors")[1]
        assert found.licence == f"{card.licence}; research only"
        assert found.provenance["warm_start"]["training_frames"] == card.provenance["training_frames"]

    def test_a_missing_one_is_told_before_any_data_is_read(self, tmp_path: Path, refused: Refused) -> None:
        assert "depthwise_aff" in refused(tmp_path / "no data", "--warm-start", "depthwise_aff")


class TestShortTraining:
    def test_a_recipe_that_warms_up_for_an_epoch_trains_for_one(self, blocks_dir: Path, tmp_path: Path) -> None:
        assert main(words(blocks_dir, tmp_path / "run", "--epochs", "1", "--optim.warmup", "1")) == 0


class TestHelp:
    def test_shows_the_values_of_a_recipe(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "mine.yaml").write_text("epochs: 123\n")
        assert main(["train", "--recipe", str(tmp_path / "mine.yaml"), "--help"]) == 0
        assert "default: 123" in capsys.readouterr().out


class TestTeacher:
    def test_moves_the_student_towards_it(self, blocks_dir: Path, tmp_path: Path) -> None:
        teacher = checkpoint(tmp_path / "teacher.safetensors")
        for name, more in (("alone", ()), ("taught", ("--teacher", str(teacher), "--loss.distillation", "20"))):
            assert main(words(blocks_dir, tmp_path / name, "--seed", "3", "--epochs", "4", *more)) == 0
        net = create_model("depthwise_aaff", 11, **SMALL).eval()
        frames = torch.randn(2, 3, 48, 64)

        def logits(state: dict[str, torch.Tensor]) -> torch.Tensor:
            net.load_state_dict(state)
            with torch.no_grad():
                return net.logits(frames)

        goal = logits(read_checkpoint(teacher)[0])
        alone, taught = (distillation(logits(weights(tmp_path / n)), goal, 1.0) for n in ("alone", "taught"))
        assert taught < alone

    def test_divergence_by_the_formula(self) -> None:
        torch.manual_seed(0)
        logits, teacher = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
        p, q = (teacher / 3).softmax(1), (logits / 3).softmax(1)
        expected = 9 * (p * (p / q).log()).sum(1).mean()
        torch.testing.assert_close(distillation(logits, teacher, 3.0), expected)

    def test_of_other_classes_is_refused(self, blocks_dir: Path, tmp_path: Path, refused: Refused) -> None:
        other = LabelMap("two", ("road", "rest"), ((1, 1, 1), (2, 2, 2)))
        teacher = checkpoint(tmp_path / "teacher.safetensors", other)
        assert str(teacher) in refused(blocks_dir, "--teacher", str(teacher))

    def test_a_missing_one_is_told_before_any_data_is_read(self, tmp_path: Path, refused: Refused) -> None:
        assert "nobody" in refused(tmp_path / "no data", "--teacher", "nobody")


class TestBatchNorm:
    def test_statistics_are_those_of_the_averaged_weights(self, blocks_dir: Path, tmp_path: Path) -> None:
        more = ["--optim.ema", "0.9", "--options", "auxiliary=true", "width=0.25"]
        assert main(words(blocks_dir, tmp_path / "plain", *more)) == 0
        assert main(words(blocks_dir, tmp_path / "again", *more, "--bn-batches", "3")) == 0
        plain, again = weights(tmp_path / "plain"), weights(tmp_path / "again")
        changed = {name.rpartition(".")[2] for name, value in plain.items() if not torch.equal(value, again[name])}
        assert changed == {"running_mean", "running_var"}


class TestVoid:
    @pytest.fixture
    def copied(self, blocks_dir: Path, tmp_path: Path) -> Path:
        return shutil.copytree(blocks_dir, tmp_path / "data")

    def _void(self, root: Path, pattern: str) -> None:
        void = np.full((56, 72), 255, np.uint8)
        names = sorted(path.stem for path in root.glob(pattern))
        images = {path.stem: path for path in (root / "train").iterdir()}
        from aaff.images import read_image

        samples = [Sample(name, read_image(images[name]), void) for name in names]
        write_dataset("segnet", root, "train", samples, CAMVID11)

    def test_all_void_data_is_refused(self, copied: Path, refused: Refused) -> None:
        self._void(copied, "trainannot/*.png")
        assert "void" in refused(copied)

    def test_void_frames_among_others_are_counted(
        self, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._void(copied, "trainannot/train_0[0-7].png")
        assert main(words(copied, tmp_path / "run", "--epochs", "1")) == 0
        assert "8 of 12" in capsys.readouterr().err


@pytest.fixture
def streets_dir(tmp_path: Path) -> Path:
    """A partially labelled data set: road and car of camvid11; the value 1 is building there, but not listed here."""
    root, draw = tmp_path / "streets", np.random.default_rng(5)
    for split, count in (("train", 4), ("val", 2)):
        frames = [
            Sample(
                f"{split}{i}",
                draw.integers(0, 256, (40, 64, 3), np.uint8),
                draw.choice(np.array([1, 3, 8], np.uint8), (40, 64)),
            )
            for i in range(count)
        ]
        write_dataset("yaml", root, split, frames, CAMVID11)
    file = root / "dataset.yaml"
    told = yaml.safe_load(file.read_text())
    told |= {"name": "streets", "protocol": "camvid11", "classes": ["road", "car"]}
    file.write_text(yaml.safe_dump(told))
    return root


class TestSeveralDataSets:
    def test_train_together(self, blocks_dir: Path, streets_dir: Path, tmp_path: Path) -> None:
        line = words(blocks_dir, tmp_path / "run", "--repeat", "1", "2")
        line[line.index("--data") + 1 : line.index("--data") + 2] = [str(blocks_dir), str(streets_dir)]
        assert main(line) == 0
        card = read_checkpoint(tmp_path / "run" / "last.safetensors")[1]
        assert card.labels.names == CAMVID11.names
        assert load_snapshot(tmp_path / "run" / STATE).position.step == 2 * ((12 + 2 * 4) // 4)

    def test_of_other_classes_are_refused(self, blocks_dir: Path, streets_dir: Path, refused: Refused) -> None:
        file = streets_dir / "dataset.yaml"
        told = yaml.safe_load(file.read_text())
        del told["protocol"]
        told["classes"] = {"road": [1, 1, 1], "car": [2, 2, 2]}
        file.write_text(yaml.safe_dump(told))
        assert str(streets_dir) in refused(blocks_dir, "--data", str(blocks_dir), str(streets_dir))

    def test_classes_outside_the_protocol_are_refused(
        self, blocks_dir: Path, streets_dir: Path, refused: Refused
    ) -> None:
        file = streets_dir / "dataset.yaml"
        file.write_text(file.read_text().replace("- car", "- lorry"))
        assert "lorry" in refused(blocks_dir, "--data", str(blocks_dir), str(streets_dir))

    @pytest.mark.parametrize("repeat", [("1", "2", "3"), ("0", "1")])
    def test_repeat_must_fit(
        self, blocks_dir: Path, streets_dir: Path, refused: Refused, repeat: tuple[str, ...]
    ) -> None:
        assert "repeat" in refused(blocks_dir, "--data", str(blocks_dir), str(streets_dir), "--repeat", *repeat)
