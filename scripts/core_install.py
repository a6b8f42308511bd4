"""What ``pip install .`` without an extra brings: packages, megabytes, seconds until the first prediction.

Run from the root of the repository, with a model to also time starts of the deployed runtime::

    python scripts/core_install.py --json results/core_install.json --model model.onnx

It makes a virtual environment in a temporary folder, so that nothing of this one can help.
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
CEILING_MB = 560

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
prediction = aaff.load(sys.argv[1])(np.full((360, 480, 3), 128, np.uint8))
assert "torch" not in sys.modules
print(prediction.engine, prediction.precision)
"""


def seconds(*command: object, env: dict[str, str] | None = None) -> float:
    """How long a process takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, env=env, capture_output=True)
    return time.perf_counter() - began


def measure(model: Path | None) -> dict[str, object]:
    """Install, weigh and start; megabytes are of 1,000,000 bytes, as package indexes count them."""
    with tempfile.TemporaryDirectory(prefix="core-install-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--constraint",
            "constraints.txt",
            ".",
        ]
        subprocess.run([str(python), *install], cwd=ROOT, check=True)
        found = json.loads(subprocess.run([python, "-c", SIZES], check=True, capture_output=True, text=True).stdout)
        packages = {name: value for name, value in sorted(found.items()) if name not in ("pip", "setuptools")}
        megabytes = sum(size for _, size in packages.values()) / 1e6
        empty = min(seconds(python, "-c", "pass") for _ in range(5))
        imported = min(seconds(python, "-c", "import aaff") for _ in range(5))
        result: dict[str, object] = {
            "megabytes": round(megabytes, 1),
            "ceiling_megabytes": CEILING_MB,
            "within": megabytes <= CEILING_MB,
            "packages": {
                name: {"version": version, "megabytes": round(size / 1e6, 2)}
                for name, (version, size) in packages.items()
            },
            "import_aaff_seconds": round(imported - empty, 4),
        }
        if model is not None:
            # A cache of its own, so that the first start really compiles.
            env = {**os.environ, "AAFF_CACHE": str(Path(folder) / "cache")}
            starts = [seconds(python, "-c", FIRST_FRAME, model.resolve(), env=env) for _ in range(4)]
            result["start_to_first_map_seconds"] = {
                "first": round(starts[0], 3),
                "later": round(min(starts[1:]), 3),
                "counts": "the whole process: Python, imports, reading the model, one frame of 480x360",
            }
    return result


def main() -> int:
    """Print and write the figures; status 1 above the ceiling."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    result = measure(args.model)
    print(json.dumps(result, indent=2))
    if args.json is not None:
        write_json(args.json, {**result, "provenance": provenance()})
    return 0 if result["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
