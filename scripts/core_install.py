"""Measure ``pip install .`` without extras: packages, megabytes, time to the first prediction, and which commands work.

Run it from the root of the repository:

    python scripts/core_install.py --json results/core_install.json

It creates a new virtual environment in a temporary folder, independent of the current one.  The exit status is 1 if the
installation is too large, or if a command does not behave as it should without torch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from aaff.files import write_json
from aaff.provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
CEILING_MB = 600
"""Of 1,000,000 bytes, bundled models included."""

SIZES = """
import json, os, sys
from importlib import metadata
from pathlib import Path
sizes = {}
for package in metadata.distributions():
    files = [Path(package.locate_file(file)) for file in package.files or ()]
    # Some wheels record links to their libraries; a link takes no space.
    size = sum(f.stat().st_size for f in files if f.is_file() and not f.is_symlink())
    sizes[package.metadata["Name"]] = [package.version, size]
print(json.dumps(sizes))
"""

FIRST_FRAME = """
import sys
import numpy as np
import aaff
prediction = aaff.load()(np.full((360, 480, 3), 128, np.uint8))
assert "torch" not in sys.modules
print(prediction.engine, prediction.precision)
"""

NAME = "import aaff; print(aaff.load(aaff.load().card.network).card.network)"

SHOWS_ITSELF = """
import pydoc, aaff
from aaff import *
assert [getattr(aaff, name) for name in dir(aaff)]
pydoc.render_doc(aaff)
"""

RUN = """
import shutil, sys
from pathlib import Path
from aaff.loading import find_model
Path("run").mkdir()
shutil.copy(find_model(), "run/best-int8.onnx")
Path("run/best.safetensors").touch()
"""


def seconds(*command: object, env: dict[str, str] | None = None) -> float:
    """Run a process and return its duration in seconds."""
    began = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, env=env, capture_output=True)
    return time.perf_counter() - began


def walk(python: Path, folder: Path) -> dict[str, bool]:
    """Run the steps of a user who has installed only the core; returns whether each step ended as expected."""
    place = folder / "walk"
    place.mkdir()
    env = {**os.environ, "AAFF_CACHE": str(folder / "cache")}

    def step(status: int, *words: str, says: str = "") -> bool:
        done = subprocess.run(
            [str(python), *words], cwd=place, env=env, capture_output=True, text=True, encoding="utf-8", check=False
        )
        said = done.stdout + done.stderr
        if done.returncode != status or says not in said or "Traceback" in said:
            print(f"FAILED ({done.returncode}): {' '.join(words)}\n{said}", file=sys.stderr)
            return False
        return True

    def aaff(*words: str, status: int = 0, says: str = "") -> bool:
        return step(status, "-m", "aaff", *words, says=says)

    found = subprocess.run([str(python), "-c", NAME], env=env, capture_output=True, text=True, check=False)
    name = found.stdout.strip()
    return {
        "help(aaff), dir(aaff), from aaff import *": step(0, "-c", SHOWS_ITSELF),
        "aaff.load of the bundled model by its name": found.returncode == 0,
        "aaff models": aaff("models", says=name),
        "aaff data scenes": aaff("data", "scenes", "streets", "--size", "160x120", "--train", "8", "--val", "4"),
        "aaff predict": aaff("predict", "streets/val"),
        "aaff evaluate of the bundled model": aaff("evaluate", name, "--data", "streets"),
        "aaff bench of the bundled model": aaff("bench", name, "--runs", "2", "--precision", "int8"),
        "aaff predict with a run that holds an exported model": step(0, "-c", RUN)
        and aaff("predict", "streets/val", "--model", "run"),
        "aaff train says what is missing": aaff("train", "--data", "streets", status=2, says="[train]"),
        "aaff demo says what is missing before it does anything": aaff("demo", status=2, says="[train]")
        and not (place / "demo").exists(),
    }


def measure() -> dict[str, object]:
    """Install the package, measure sizes and start times, and run the steps; a megabyte is 1,000,000 bytes."""
    with tempfile.TemporaryDirectory(prefix="core-install-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([str(python), *install, "--constraint", "constraints.txt", "."], cwd=ROOT, check=True)
        found = json.loads(subprocess.run([python, "-c", SIZES], check=True, capture_output=True, text=True).stdout)
        packages = {name: value for name, value in sorted(found.items()) if name not in ("pip", "setuptools")}
        megabytes = sum(size for _, size in packages.values()) / 1e6
        empty = min(seconds(python, "-c", "pass") for _ in range(5))
        imported = min(seconds(python, "-c", "import aaff") for _ in range(5))
        # A cache of its own, so that the first start really compiles.
        env = {**os.environ, "AAFF_CACHE": str(Path(folder) / "cache")}
        starts = [seconds(python, "-c", FIRST_FRAME, env=env) for _ in range(4)]
        return {
            "megabytes": round(megabytes, 1),
            "ceiling_megabytes": CEILING_MB,
            "within": megabytes <= CEILING_MB,
            "packages": {
                name: {"version": version, "megabytes": round(size / 1e6, 2)}
                for name, (version, size) in packages.items()
            },
            "import_aaff_seconds": round(imported - empty, 4),
            "start_to_first_map_seconds": {
                "first": round(starts[0], 3),
                "later": round(min(starts[1:]), 3),
                "counts": "the whole process: Python, imports, reading the model, one frame of 480x360",
            },
            "works_without_torch": walk(python, Path(folder)),
        }


def main() -> int:
    """Print and write the results; status 1 if the installation is too large or a step failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = measure()
    print(json.dumps(result, indent=2))
    if args.json is not None:
        write_json(args.json, {**result, "provenance": provenance()})
    works = result["works_without_torch"]
    return 0 if result["within"] and isinstance(works, dict) and all(works.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
