"""The training recipe: every option that affects the resulting weights.

The dataclasses below define the options; flags override the recipe file, which overrides the defaults.  A recipe
file is YAML.  Its values are turned into flags and put before the user's own, so one parser checks both, and a
number that YAML reads as text, such as ``5e-4``, is still a number.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from aaff.data.augment import Augment
from aaff.data.photometric import Photometric
from aaff.errors import OptionError, UnknownNameError, shown
from aaff.preprocess import Size
from aaff.textfile import parse_yaml, read_yaml
from aaff.training.options import LossOptions, OptimOptions


@dataclass(frozen=True)
class AugmentOptions:
    """Random augmentation of the training frames."""

    crop: Size = Size(480, 360)
    """Size of the random crops that the network trains on."""
    scale_min: float = 0.6
    """Smallest random scale of a frame."""
    scale_max: float = 1.8
    """Largest random scale of a frame."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    jitter: float = 0.4
    """Maximum relative change of brightness, contrast and saturation; 0 disables the jitter."""
    width: int = 0
    """Resize every frame to this width, aspect ratio kept, before the random scaling; 0 keeps its own size."""
    aspect: float = 1.0
    """Maximum factor by which the aspect ratio changes."""
    gains: float = 0.0
    """Multiply red, green and blue by random factors between 1/(1+gains) and 1+gains."""
    hue: float = 0.0
    """Maximum hue rotation in degrees."""
    gamma: float = 0.0
    """Apply a random gamma between 1/(1+gamma) and 1+gamma."""
    blur: float = 0.0
    """Probability of a Gaussian blur."""
    noise: float = 0.0
    """Probability of Gaussian noise."""
    jpeg: float = 0.0
    """Probability of JPEG compression."""
    paste: float = 0.0
    """Probability that objects of rare classes from other training frames are pasted into a frame."""
    paste_classes: tuple[str, ...] = ("pole", "sign symbol", "pedestrian", "bicyclist")
    """Names of the classes whose objects are pasted; names that the data set does not have are ignored."""
    transforms: tuple[str, ...] = ()
    """Registered augmentations, such as those of a plug-in, applied to whole frames before all others."""
    early_crop: Size | None = None
    """Smaller crop size for the first epochs, which then cost less; see early_share."""
    early_share: float = 0.0
    """Share of the epochs that train on early_crop, in [0, 1)."""

    def __post_init__(self) -> None:
        try:
            self.view(self.crop)  # checks what it is made of
        except OptionError as error:
            raise OptionError(f"augment.{error}") from None
        if not 0 <= self.paste <= 1:
            raise OptionError(f"augment.paste is {self.paste}; it must be in [0, 1]")
        if (self.early_crop is None) != (self.early_share == 0) or not 0 <= self.early_share < 1:
            raise OptionError(
                "augment.early_crop and augment.early_share belong together: give both, with a share between 0 and 1"
            )

    def view(self, crop: Size, frame: Size | None = None) -> Augment:
        """The augmentation that makes random crops of size ``crop`` of frames resized to ``frame`` (None: as read)."""
        effects = Photometric(self.gains, self.hue, self.gamma, self.blur, self.noise, self.jpeg)
        scale = self.scale_min, self.scale_max
        return Augment(crop, scale, self.flip, self.jitter, frame, self.width, self.aspect, effects)

    def crop_at(self, epoch: int, epochs: int) -> Size:
        """Crop size in epoch number ``epoch``, counted from 0."""
        early = self.early_crop is not None and epoch < round(self.early_share * epochs)
        return self.early_crop if early and self.early_crop else self.crop


@dataclass(frozen=True)
class EngineOptions:
    """Device, precision and parallelism; all but ``accumulate`` affect speed and rounding only."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on: auto uses a GPU if there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Data type of the convolutions: auto uses bf16 if it is faster than float32 on the device."""
    threads: int = 0
    """CPU threads; 0 uses all cores, shared among the processes of a host.
    A resumed run keeps its number of threads, since only the same number gives bitwise identical weights."""
    workers: int | None = None
    """Data loading processes, 0 to load in the main process; default: 0 on a CPU, up to 8 for a GPU.
    The batches do not depend on it."""
    cache: bool = True
    """Keep decoded frames in memory."""
    accumulate: int = 1
    """Gradient accumulation: split every batch into this many micro-batches to save memory.
    Batch norm, Dice, Lovász and hard example mining see one micro-batch at a time, so the weights differ."""


@dataclass(frozen=True)
class Recipe:
    """All options that affect the resulting weights, besides the data."""

    model: str = "depthwise_aaff"
    """Network to train (see: aaff models)."""
    options: tuple[str, ...] = ()
    """Options of the network as NAME=VALUE, such as gate=none or auxiliary=true."""
    protocol: str | None = None
    """Classes and splits to use, such as camvid11, camvid32 or camvid11-drives; default: that of the layout."""
    train_split: str = "train"
    """Split to train on; join several with "+", such as train+val together with --val-split none."""
    val_split: str = "val"
    """Split that is scored during training and selects the best epoch; "none" trains without validation."""
    size: Size | None = None
    """Size that frames are resized to for training, validation and deployment; default: that of the first frame."""
    repeat: tuple[int, ...] = (1,)
    """With several data sets: how often the frames of each are used per epoch; one number for all or one each."""
    epochs: int = 60
    """Number of epochs."""
    batch: int = 8
    """Batch size, summed over all processes; batch norm after global pooling needs 8 or more."""
    seed: int = 0
    """Random seed of the initial weights, the order of the frames and the augmentation."""
    eval_every: int = 1
    """Score the val split every this many epochs, and after the last one."""
    render_every: int = 10
    """Save the predictions of four fixed val frames every this many epochs, and after the last one; 0 saves none."""
    warm_start: str | None = None
    """Checkpoint to initialise the weights from, as far as they fit: a file, a run folder or a published name."""
    teacher: str | None = None
    """Checkpoint of a teacher network with the same classes, for knowledge distillation; named as in --warm-start.
    See also --loss.distillation and --loss.temperature."""
    bn_batches: int = 0
    """Recompute the batch norm statistics of the final weights over this many batches; 0 keeps those of training."""
    loss: LossOptions = field(default_factory=LossOptions)
    """Loss function."""
    optim: OptimOptions = field(default_factory=OptimOptions)
    """Optimiser and learning-rate schedule."""
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    """Data augmentation."""
    engine: EngineOptions = field(default_factory=EngineOptions)
    """Device, precision and parallelism."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "eval_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.repeat or min(self.repeat) < 1:
            raise OptionError(f"repeat is {list(self.repeat)}; every number must be at least 1")
        if self.seed < 0:
            raise OptionError(f"seed is {self.seed}; it must be 0 or more")
        if self.bn_batches < 0:
            raise OptionError(f"bn_batches is {self.bn_batches}; it must be 0 or more")
        if self.render_every < 0:
            raise OptionError(f"render_every is {self.render_every}; it must be 0 or more")
        if self.engine.workers is not None and self.engine.workers < 0:
            raise OptionError(f"engine.workers is {self.engine.workers}; it must be 0 or more")
        if self.engine.accumulate < 1 or self.batch % self.engine.accumulate:
            raise OptionError(
                f"engine.accumulate is {self.engine.accumulate}; it must divide the batch of {self.batch}"
            )
        if self.size and self.augment.width not in (0, self.size.width):
            raise OptionError(
                f"augment.width is {self.augment.width} and size {self.size}; give one of them, or the same width"
            )
        self.network_options()

    def input_size(self, frame: Size) -> Size:
        """Input size of the network: ``size``, or that of the first frame, scaled to ``augment.width`` if it is given.

        Args:
            frame: size of the first frame.

        >>> Recipe(augment=AugmentOptions(width=480)).input_size(Size(960, 720))
        Size(width=480, height=360)
        """
        width = self.augment.width or frame.width
        return self.size or Size(width, max(1, round(width * frame.height / frame.width)))

    def network_options(self) -> dict[str, Any]:
        """``options`` as a mapping, with the values parsed as YAML.

        Raises:
            OptionError: an entry is not NAME=VALUE.

        >>> Recipe(options=("gate=none", "width=1.5", "auxiliary=true")).network_options()
        {'gate': 'none', 'width': 1.5, 'auxiliary': True}
        """
        result: dict[str, Any] = {}
        for entry in self.options:
            name, sign, value = entry.partition("=")
            if not sign or not name:
                raise OptionError(f"options: {shown(entry)} is not NAME=VALUE, such as gate=none")
            result[name.strip()] = parse_yaml(value, f"options: {name.strip()}", kind=OptionError)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as in a recipe file."""
        plain: dict[str, Any] = _plain(self)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Size):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


_LONGEST_WORD = 1000
"""Maximum length of a value in characters, longer than any usual path."""


def list_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(p.name.removesuffix(".yaml") for p in _bundled().iterdir() if p.name.endswith(".yaml"))


def _bundled() -> Any:
    installed = resources.files("aaff") / "recipes"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[3] / "recipes"


def read_recipe(name: str) -> dict[str, Any]:
    """Read the values of a recipe file, or of a bundled recipe by name.

    Raises:
        OptionError: there is no such file or recipe, it is not a YAML mapping, or a key is unknown.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        data = read_yaml(path, kind=OptionError)
    elif name in list_recipes():
        data = parse_yaml((_bundled() / f"{name}.yaml").read_text(encoding="utf-8"), f"recipe {name}", kind=OptionError)
    else:
        raise UnknownNameError("recipe", name, list_recipes())
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise OptionError(f"recipe {name} must hold KEY: VALUE lines, not {shown(data)}")
    to_flags(data, f"recipe {name}")  # reports an unknown key together with the name of the file
    return data


def to_flags(data: Mapping[str, Any], where: str) -> list[str]:
    """A recipe's values as command-line arguments, for the parser that also reads the user's flags.

    Raises:
        OptionError: an unknown key (the nearest valid one is named) or a value of the wrong shape.
    """
    return _flags(data, Recipe, where, "")


def _flags(data: Mapping[str, Any], cls: type, where: str, prefix: str) -> list[str]:
    hints = typing.get_type_hints(cls)
    known = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
    words: list[str] = []
    for key, value in data.items():
        if key not in known:
            unknown = UnknownNameError("key", f"{prefix}{key}", [f"{prefix}{k}" for k in known])
            raise OptionError(f"{where} has an {unknown}")
        flag = f"--{prefix}{key}".replace("_", "-")
        if dataclasses.is_dataclass(known[key]):
            if not isinstance(value, Mapping):
                raise OptionError(f"{where}: {prefix}{key} must hold KEY: VALUE lines, not {shown(value)}")
            words += _flags(value, typing.cast(type, known[key]), where, f"{prefix}{key}.")
        elif isinstance(value, Mapping):
            raise OptionError(f"{where}: {prefix}{key} takes one value, not KEY: VALUE lines")
        elif isinstance(value, bool):
            words.append(flag if value else f"--{prefix}no-{key}".replace("_", "-"))
        elif isinstance(value, list):
            if any(isinstance(v, list | dict) or v is None for v in value):
                raise OptionError(f"{where}: {prefix}{key} must hold plain values, not {shown(value)}")
            words += [flag, *(_word(v, f"{where}: {prefix}{key}") for v in value)] if value else []
        elif value is not None:
            words += [flag, _word(value, f"{where}: {prefix}{key}")]
    return words


def _word(value: object, what: str) -> str:
    """A value as a command-line argument; reject what messages must not repeat: long values, control characters."""
    text = str(value)
    if len(text) > _LONGEST_WORD or not text.isprintable():
        raise OptionError(f"{what} cannot be {shown(text)}")
    return text
