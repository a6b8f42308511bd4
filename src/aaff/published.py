"""Models found by name: those bundled with the package, and the checkpoints in ``weights/`` of a clone.

A bundled model is a deployed file ``shipped/NAME-PRECISION.onnx`` inside the package and runs without torch.  The
checkpoints of the paper's experiment stand in ``weights/`` of the repository; the wheel leaves them out.
"""

from __future__ import annotations

from pathlib import Path

from aaff.errors import ModelError

_PACKAGE = Path(__file__).parent
BUNDLED = _PACKAGE / "shipped"
"""Folder of the bundled models."""

DEFAULT = "street"
"""The bundled model that runs when none is named; the first by name where this one is not bundled."""


def weights_folder() -> Path:
    """Where the checkpoints lie that are found by name: ``weights/`` of a clone.  It need not exist."""
    return _PACKAGE.parents[1] / "weights"


def list_published() -> list[str]:
    """Names of the checkpoints in ``weights_folder``."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def find_published(name: str) -> Path | None:
    """The checkpoint of that name, None when there is none.

    >>> find_published("no such model") is None
    True
    """
    return weights_folder() / f"{name}.safetensors" if name in list_published() else None


def list_bundled() -> list[str]:
    """Names of the models that come with the package and run without torch."""
    return sorted({path.stem.rpartition("-")[0] for path in BUNDLED.glob("*-*.onnx")})


def bundled_precisions(name: str) -> list[str]:
    """``"int8"`` and ``"fp32"``, as far as a bundled model comes in them."""
    return [kind for kind in ("int8", "fp32") if (BUNDLED / f"{name}-{kind}.onnx").is_file()]


def bundled_name(path: Path) -> str | None:
    """The name of the bundled model that a file is; None of any other file.

    >>> bundled_name(Path("street-int8.onnx")) is None
    True
    """
    return path.stem.rpartition("-")[0] if path.parent == BUNDLED else None


def default_name() -> str:
    """Name of the model that runs when none is named."""
    names = list_bundled()
    return DEFAULT if DEFAULT in names else next(iter(names), DEFAULT)


def find_bundled(name: str | None = None, precision: str | None = None) -> Path:
    """The deployed file of a bundled model.

    Args:
        name: one of ``list_bundled``; the default model if None.
        precision: what it will run in: ``"fp32"`` and ``"bf16"`` take the file in fp32, everything else the one
            in int8, which is faster.  None takes int8 where there is such a file, else fp32.

    Raises:
        ModelError: no such model is bundled, or not in that precision.
    """
    name = name or default_name()
    there = {kind: BUNDLED / f"{name}-{kind}.onnx" for kind in bundled_precisions(name)}
    wanted = None if precision is None else "fp32" if precision in ("fp32", "bf16") else "int8"
    if wanted is None and there:
        return next(iter(there.values()))
    if wanted in there:
        return there[wanted]
    if there:
        raise ModelError(
            f"the bundled model {name} comes in {' and '.join(there)}, not in {precision}; leave the precision out"
        )
    raise ModelError(
        "no model is bundled with this copy of aaff; name a checkpoint or a run folder, "
        "or train one with: aaff train --data DIR --model depthwise_aaff"
    )
