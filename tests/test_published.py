"""Models that come with the package: found by name, run when none is named, small, and with their licence told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import aaff
from aaff import published
from aaff.card import ModelCard
from aaff.cli import main
from aaff.errors import ModelError
from aaff.export.export import describe, write
from aaff.images import write_image
from aaff.labels import CAMVID11
from aaff.loading import find_model, read_card
from aaff.networks.weights import save_checkpoint
from aaff.preprocess import Size
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.publish import LARGEST
from tests.tiny import tiny

ROOT = Path(__file__).parents[1]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: None) -> Path:
    """A folder of published weights with one tiny network in half precision."""
    folder = tmp_path / "weights"
    torch.manual_seed(0)
    net = tiny(CAMVID11.num_classes)
    card = ModelCard("tiny", {}, CAMVID11, "camvid11", Size(64, 48), licence="research only")
    save_checkpoint(folder / "depthwise_aaff.safetensors", net.state_dict(), card, dtype=torch.float16)
    monkeypatch.setattr(published, "weights_folder", lambda: folder)
    monkeypatch.setattr(published, "BUNDLED", tmp_path / "nothing bundled")
    return folder


def test_published_weights_are_loaded_by_name(weights: Path, scene: object) -> None:
    prediction = aaff.load("depthwise_aaff")(scene.image)  # type: ignore[attr-defined]
    assert prediction.class_map.shape == (120, 160)
    assert find_model("depthwise_aaff") == weights / "depthwise_aaff.safetensors"


def test_what_lies_on_disk_goes_before_a_name(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("depthwise_aaff").mkdir()
    shutil.copy(weights / "depthwise_aaff.safetensors", "depthwise_aaff/last.safetensors")
    assert find_model("depthwise_aaff") == Path("depthwise_aaff/last.safetensors")


def test_a_mistyped_name_gets_the_nearest(weights: Path) -> None:
    with pytest.raises(ModelError, match="did you mean depthwise_aaff"):
        find_model("depthwise_aff")


def test_they_are_evaluated_by_name(weights: Path, scenes_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "depthwise_aaff", "--data", str(scenes_dir)]) == 0
    assert "position prior" in capsys.readouterr().out


def test_other_files_in_the_folder_are_no_models(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (weights / "street-int8-640.onnx").touch()
    assert main(["models", "depthwise_aaff"]) == 0
    assert "street" not in capsys.readouterr().out


class TestBundled:
    @pytest.fixture
    def bundled(
        self, weights: Path, exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        folder = tmp_path / "shipped"
        folder.mkdir()
        path = folder / "depthwise_aaff-fp32.onnx"
        card = read_card(weights / "depthwise_aaff.safetensors")
        write(describe(exported["fp32"].read_bytes(), card, path, precision="fp32", stride=4), {})
        monkeypatch.setattr(published, "BUNDLED", folder)
        return folder

    def test_answers_when_nothing_is_named_and_tells_its_licence_once(
        self, bundled: Path, tmp_path: Path, scene: object, capsys: pytest.CaptureFixture[str]
    ) -> None:
        photo = tmp_path / "photo.png"
        write_image(photo, scene.image)  # type: ignore[attr-defined]
        capsys.readouterr()
        assert main(["predict", str(photo), "--precision", "fp32", "--out", str(tmp_path / "maps")]) == 0
        told = capsys.readouterr().out
        assert told.count("research only") == 1
        assert "model: depthwise_aaff" in told
        assert (tmp_path / "maps" / "photo_overlay.png").is_file()

    def test_its_name_stands_for_the_bundled_file_and_torch_gets_the_checkpoint(
        self, bundled: Path, weights: Path
    ) -> None:
        assert find_model("depthwise_aaff") == bundled / "depthwise_aaff-fp32.onnx"
        assert find_model("depthwise_aaff", engine="torch") == weights / "depthwise_aaff.safetensors"
        assert aaff.load("depthwise_aaff").engine.name == "openvino"

    def test_a_precision_that_is_not_bundled_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(published, "BUNDLED", tmp_path)
        monkeypatch.setattr(published, "weights_folder", lambda: tmp_path / "weights")
        (tmp_path / "street-fp32.onnx").touch()
        assert published.find_exported("street", "bf16") == tmp_path / "street-fp32.onnx"
        assert published.find_exported() == tmp_path / "street-fp32.onnx"
        with pytest.raises(ModelError, match="fp32, not in int8"):
            published.find_exported(None, "int8")

    def test_an_exported_file_of_the_clone_is_found_too(
        self, bundled: Path, weights: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As the models that are too many for the wheel."""
        shutil.move(bundled / "depthwise_aaff-fp32.onnx", weights / "other-fp32.onnx")
        assert find_model("other") == weights / "other-fp32.onnx"
        assert aaff.load("other").engine.name == "openvino"
        assert main(["models"]) == 0
        assert "other" in capsys.readouterr().out
        assert "other" not in published.list_bundled()


def test_the_bundled_model_is_found_by_its_name() -> None:
    card = aaff.load().card
    assert find_model(published.DEFAULT) == find_model()
    assert card.licence != ModelCard("x", {}, CAMVID11, "camvid11", Size(8, 8)).licence


def test_what_the_repository_ships_is_small_and_has_a_card() -> None:
    models = list((ROOT / "weights").glob("*.safetensors"))
    assert {path.stem for path in models} == {*PAPER_ORDER, published.DEFAULT, "camvid_lite0", "camvid_lite0_trainval"}
    assert all(path.stat().st_size <= LARGEST and path.with_suffix(".md").is_file() for path in models)
    for name in published.list_bundled():
        files = published.exported_files(name).values()
        assert sum(path.stat().st_size for path in files) <= 12 * 2**20
