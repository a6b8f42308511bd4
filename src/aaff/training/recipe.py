"""A training recipe: every choice that decides what the weights become, in one place, once.

The dataclasses below are the options: defaults < recipe file < flags.  A recipe file is YAML; its
values are turned into flags and put before the user's own, so one parser checks both (and a number
that YAML reads as text, such as ``5e-4``, is a number all the same).
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
    """Random views of the training frames."""

    crop: Size = Size(480, 360)
    """Size of the views that the network trains on."""
    scale_min: float = 0.6
    """Smallest random enlargement of a frame."""
    scale_max: float = 1.8
    """Largest random enlargement of a frame."""
    flip: float = 0.5
    """Probability of a mirrored view."""
    jitter: float = 0.4
    """Brightness, contrast and saturation change by up to this share; 0 leaves colours alone."""
    width: int = 0
    """Width that every frame is brought to before it is scaled at random, its aspect kept; 0: its own size."""
    aspect: float = 1.0
    """Width against height changes by a factor of up to this."""
    gains: float = 0.0
    """Red, green and blue are multiplied by factors between 1/(1+gains) and 1+gains."""
    hue: float = 0.0
    """Hue turns by up to this many degrees."""
    gamma: float = 0.0
    """The tone curve's exponent lies between 1/(1+gamma) and 1+gamma."""
    blur: float = 0.0
    """Probability of a Gaussian blur."""
    noise: float = 0.0
    """Probability of Gaussian noise."""
    jpeg: float = 0.0
    """Probability of JPEG compression."""
    paste: float = 0.0
    """Probability that objects of rare classes from other training frames are pasted into a frame."""
    paste_classes: tuple[str, ...] = ("pole", "sign symbol", "pedestrian", "bicyclist")
    """Names of the classes whose objects are pasted; those that the data does not have are left out."""
    transforms: tuple[str, ...] = ()
    """Registered augmentations applied to whole frames first, such as those of a plug-in."""
    early_crop: Size | None = None
    """Smaller views for the first part of training, which then costs less; see early_share."""
    early_share: float = 0.0
    """Share of the epochs that train on early_crop."""

    def __post_init__(self) -> None:
        try:
            self.view(self.crop)  # checks what it is made of
        except OptionError as error:
            raise OptionError(f"augment.{error}") from None
        if not 0 <= self.paste <= 1:
            raise OptionError(f"augment.paste is {self.paste}; it must be in [0, 1]")
        if (self.early_crop is None) != (self.early_share == 0) or not 0 <= self.early_share < 1:
            raise OptionError(
                "augment.early_crop and augment.early_share belong together: give both, the share between 0 and 1"
            )

    def view(self, crop: Size, frame: Size | None = None) -> Augment:
        """Random views of size ``crop``, of frames taken to have the size ``frame``; None: their own."""
        effects = Photometric(self.gains, self.hue, self.gamma, self.blur, self.noise, self.jpeg)
        scale = self.scale_min, self.scale_max
        return Augment(crop, scale, self.flip, self.jitter, frame, self.width, self.aspect, effects)

    def crop_at(self, epoch: int, epochs: int) -> Size:
        """Size of the views in epoch number ``epoch`` (from 0)."""
        early = self.early_crop is not None and epoch < round(self.early_share * epochs)
        return self.early_crop if early and self.early_crop else self.crop


@dataclass(frozen=True)
class EngineOptions:
    """How the arithmetic is done; it changes the time and the rounding, not the recipe's meaning."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train: auto takes a GPU if there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Type of the convolutions: auto takes bf16 where the device multiplies it faster than float32."""
    threads: int = 0
    """Compute threads on a CPU; 0 takes all cores, shared among the processes of a host.  A run keeps
    its number when it is resumed, since the same number gives the same weights bit for bit."""
    workers: int | None = None
    """Processes that load frames ahead, 0 for none; default: none on a CPU, up to 8 for a GPU.
    The batches are the same with any number."""
    cache: bool = True
    """Keep decoded frames in memory."""
    accumulate: int = 1
    """Split every batch into this many parts whose gradients add up: less memory, the same loss and update.
    Batch norm sees a part at a time."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides the frames."""

    model: str = "depthwise_aaff"
    """Network to train, see: aaff models."""
    options: tuple[str, ...] = ()
    """Options of the network as NAME=VALUE, such as gate=none or auxiliary=true."""
    protocol: str | None = None
    """Classes and scores: camvid11, camvid32, camvid11-drives; default: what the data set's layout implies."""
    train_split: str = "train"
    """Split to train on; several as one: train+val, then with --val-split none."""
    val_split: str = "val"
    """Split that is scored during training and chooses the best epoch; "none" trains without."""
    size: Size | None = None
    """Size that frames are brought to for training, scoring and later use; default: that of the first frame."""
    repeat: tuple[int, ...] = (1,)
    """With several data sets: how often each one's frames come in an epoch, one number for all or one each."""
    epochs: int = 60
    """Passes over the training split."""
    batch: int = 8
    """Frames in a batch, over all processes; batch norm of the gates wants 8 or more."""
    seed: int = 0
    """Seed of the initial weights, of the order of the frames and of their random views."""
    eval_every: int = 1
    """Score the val split every this many epochs, and after the last."""
    render_every: int = 10
    """Draw four fixed frames of the val split as the network sees them every this many epochs, and after the
    last; 0 draws none."""
    warm_start: str | None = None
    """Checkpoint whose weights to start from, as far as they fit: a file, the folder of a run, or a published name."""
    teacher: str | None = None
    """Checkpoint of a network with the same classes that this one learns to agree with (distillation), named as in
    warm_start; see loss.distillation and loss.temperature."""
    bn_batches: int = 0
    """Batches over which the statistics of batch norm are taken anew for the final weights; 0 keeps training's."""
    loss: LossOptions = field(default_factory=LossOptions)
    """What is minimised."""
    optim: OptimOptions = field(default_factory=OptimOptions)
    """How it is minimised."""
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    """Random views of the frames."""
    engine: EngineOptions = field(default_factory=EngineOptions)
    """How the arithmetic is done."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "eval_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.repeat or min(self.repeat) < 1:
            raise OptionError(f"repeat is {list(self.repeat)}; numbers of 1 or more are needed")
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
        self.network_options()

    def network_options(self) -> dict[str, Any]:
        """``options`` as a mapping, values read as YAML reads them.

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
        """Plain nested values, as they stand in a recipe file."""
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
"""Characters of a value; people's paths are shorter."""


def list_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(p.name.removesuffix(".yaml") for p in _bundled().iterdir() if p.name.endswith(".yaml"))


def _bundled() -> Any:
    installed = resources.files("aaff") / "recipes"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[3] / "recipes"


def read_recipe(name: str) -> dict[str, Any]:
    """The values of a recipe file, or of a bundled recipe by name.

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
    to_flags(data, f"recipe {name}")  # names an unknown key while the file is still known
    return data


def to_flags(data: Mapping[str, Any], where: str) -> list[str]:
    """A recipe's values as command-line words, for the parser that also reads the user's flags.

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
    """A value as it is typed.  The parser's message would repeat a monstrous one, and its control characters."""
    text = str(value)
    if len(text) > _LONGEST_WORD or not text.isprintable():
        raise OptionError(f"{what} cannot be {shown(text)}")
    return text
