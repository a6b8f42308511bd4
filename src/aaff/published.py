"""Models found by name: those bundled with the package, and those in ``weights/`` of a clone.

Exported files ``NAME-PRECISION.onnx`` run without torch; the bundled ones are in ``shipped/`` of the package, others in
``weights/``.  Checkpoints ``NAME.safetensors`` are only in ``weights/``, which is not part of the wheel.
"""

from __future__ import annotations

from pathlib import Path

from aaff.errors import ModelError

_PACKAGE = Path(__file__).parent
BUNDLED = _PACKAGE / "shipped"
_KINDS = ("int8", "fp32")
"""Folder of the bundled models."""

DEFAULT = "street"
"""The bundled model that is used if none is named; if it is not bundled, the first one by name is."""


def weights_folder() -> Path:
    """The folder of the checkpoints that are found by name: ``weights/`` of a clone.  It need not exist."""
    return _PACKAGE.parents[1] / "weights"


def list_published() -> list[str]:
    """Names of the checkpoints in ``weights_folder``."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def find_published(name: str) -> Path | None:
    """The checkpoint of a published name, or None.

    >>> find_published("no such model") is None
    True
    """
    return weights_folder() / f"{name}.safetensors" if name in list_published() else None


def list_bundled() -> list[str]:
    """Names of the models that come with the package and run without torch."""
    return sorted(_names(BUNDLED))


def list_exported() -> list[str]:
    """Names of the models that run without torch, bundled or in ``weights_folder``."""
    return sorted({name for folder in _folders() for name in _names(folder)})


def _names(folder: Path) -> set[str]:
    return {path.stem.rpartition("-")[0] for kind in _KINDS for path in folder.glob(f"?*-{kind}.onnx")}


def exported_files(name: str) -> dict[str, Path]:
    """The exported files of a model by precision, ``"int8"`` first, then ``"fp32"``; bundled files take precedence."""
    places = {kind: [folder / f"{name}-{kind}.onnx" for folder in _folders()] for kind in _KINDS}
    found = {kind: [path for path in paths if path.is_file()] for kind, paths in places.items()}
    return {kind: paths[0] for kind, paths in found.items() if paths}


def _folders() -> tuple[Path, Path]:
    return BUNDLED, weights_folder()


def bundled_name(path: Path) -> str | None:
    """The name of the bundled model to which a file belongs; None for any other file.

    >>> bundled_name(Path("street-int8.onnx")) is None
    True
    """
    return path.stem.rpartition("-")[0] if path.parent == BUNDLED else None


def default_name() -> str:
    """Name of the model that is used if none is named."""
    names = list_bundled()
    return DEFAULT if DEFAULT in names else next(iter(names), DEFAULT)


def find_exported(name: str | None = None, precision: str | None = None) -> Path:
    """The exported file of a model.

    Args:
        name: one of ``list_exported``; the default model if None.
        precision: the precision to run in: ``"fp32"`` and ``"bf16"`` select the fp32 file, all others the int8 file,
            which is faster.  None selects the int8 file if there is one, else the fp32 file.

    Raises:
        ModelError: the model is unknown, or has no file in that precision.
    """
    name = name or default_name()
    there = exported_files(name)
    wanted = None if precision is None else "fp32" if precision in ("fp32", "bf16") else "int8"
    if wanted is None and there:
        return next(iter(there.values()))
    if wanted in there:
        return there[wanted]
    if there:
        kinds = " and ".join(there)
        raise ModelError(f"the model {name} is available in {kinds}, not in {precision}; omit the precision")
    raise ModelError(
        "no model is bundled with this copy of aaff; name a checkpoint or a run folder, "
        "or train one with: aaff train --data DIR --model depthwise_aaff"
    )
