"""The package as a whole: its public names, what an import costs, what must not be imported."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import aaff
from aaff.errors import EXTRA_OF

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "aaff"
GUESTS = {"supervision"}
"""Packages that a converter speaks to when the user has them; nothing of ours needs them."""
HEAVY = ("torch", "openvino", "onnxruntime", "onnx", "onnxscript", "nncf", "matplotlib", "safetensors", "av", "fastapi")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def modules(*rooms: str) -> list[str]:
    """Names of all modules, or of those in some rooms."""
    names = [m.name for m in pkgutil.walk_packages(aaff.__path__, "aaff.")]
    for room in rooms:
        assert any(n == f"aaff.{room}" for n in names), f"there is no aaff.{room}"
    return [n for n in names if not rooms or any(n == f"aaff.{r}" or n.startswith(f"aaff.{r}.") for r in rooms)]


def imported_with(names: list[str], watched: tuple[str, ...]) -> list[str]:
    """Which of the watched packages a fresh process has after importing the modules."""
    code = f"import importlib, sys\nfor n in {names!r}: importlib.import_module(n)\n"
    code += f"print(' '.join(n for n in {watched!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class TestPublicNames:
    def test_every_name_is_there(self) -> None:
        for name in aaff.__all__:
            assert getattr(aaff, name) is not None
        assert set(dir(aaff)) == {*aaff.__all__, "__version__"}

    def test_the_list_has_every_lazy_name(self) -> None:
        assert sorted(aaff.__all__) == sorted(aaff._HOME)

    def test_a_mistyped_name_gets_the_nearest(self) -> None:
        with pytest.raises(AttributeError, match="did you mean 'LabelMap'"):
            aaff.LabelMpa  # noqa: B018


class TestImports:
    def test_the_package_alone_imports_nothing_heavy(self) -> None:
        assert imported_with(["aaff"], (*HEAVY, "numpy", "cv2", "PIL", "rich", "tyro")) == []

    def test_what_runs_a_model_needs_no_torch(self) -> None:
        rooms = modules("runtime", "video", "evaluation", "data", "card", "provenance", "loading", "published")
        torch_free = [name for name in rooms if name != "aaff.data.loader"]
        assert imported_with(torch_free, ("torch", "aaff.networks", "aaff.training")) == []

    def test_the_command_line_imports_nothing_heavy_before_it_runs(self) -> None:
        assert imported_with(modules("cli"), HEAVY) == []

    def test_every_module_imports_first(self) -> None:
        # Each in its own copy of one process that has all third parties already, which are slow: no module may lean
        # on another one having been imported before it.
        code = f"""
import importlib, os, sys, traceback
import av, cv2, fastapi, numpy, onnx, onnxruntime, openvino, rich.table, safetensors.torch, torch, tyro, uvicorn, yaml
broken = []
for name in {modules()!r}:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        broken.append(name)
print(*broken)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [], done.stderr

    def test_no_module_takes_a_lazy_name_from_the_package(self) -> None:
        # Such an import would pass by the contracts on who may import whom.
        for file, node in statements():
            if isinstance(node, ast.ImportFrom) and node.module == "aaff":
                taken = {alias.name for alias in node.names} & set(aaff.__all__)
                assert not taken, f"{file.name} takes {taken} from aaff; import it from its own module"


def statements() -> Iterator[tuple[Path, ast.AST]]:
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            yield file, node


class TestProject:
    def test_every_third_party_import_is_a_declared_dependency(self) -> None:
        declared = {re.split(r"[<>=\[; ]", line)[0].lower() for line in dependencies()}
        spelled = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}
        for file, node in statements():
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and node.level == 0
                else []
            )
            for top in {name.split(".")[0] for name in names} - {"aaff"} - GUESTS - set(sys.stdlib_module_names):
                assert spelled.get(top, top).lower() in declared, f"{file.name} imports {top}, which nothing brings"

    def test_the_extra_that_an_error_names_brings_the_package(self) -> None:
        extras = PROJECT["project"]["optional-dependencies"]
        for package, extra in EXTRA_OF.items():
            assert any(re.match(rf"{package}\b", line) for line in extras[extra]), (package, extra)

    def test_constraints_pin_every_direct_dependency_within_its_bounds(self) -> None:
        from packaging.requirements import Requirement

        pins = dict(
            line.lower().split("==")
            for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
            if "==" in line and not line.startswith("#")
        )
        for line in dependencies():
            requirement = Requirement(line)
            assert pins[requirement.name.lower()] in requirement.specifier, line

    def test_the_metadata_state_the_licence_of_the_bundled_weights_too(self) -> None:
        licence = PROJECT["project"]["license"]
        assert licence.startswith("MIT")
        assert ("NC" in licence) is ("non-commercial" in aaff.load().card.licence)
        assert all((ROOT / file).is_file() for file in PROJECT["project"]["license-files"])

    def test_no_address_of_a_registry_or_a_machine(self) -> None:
        for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:|/home/|/root/", text), name


def dependencies() -> list[str]:
    project = PROJECT["project"]
    return [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
