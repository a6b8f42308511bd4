"""Resolve the engine options for this machine: device, precision, threads and suitable kernels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from aaff.errors import OptionError
from aaff.networks import SegmentationNetwork
from aaff.networks.normalize import normalize
from aaff.preprocess import Normalization
from aaff.provenance import processor_name, usable_cores
from aaff.training.distributed import Group, share_batch_norm
from aaff.training.kernels.strided import use_strided
from aaff.training.kernels.winograd import use_winograd
from aaff.training.recipe import EngineOptions

_AVX512, _AMX, _ARM = "_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"
"""Functions of ``torch.cpu`` that check for fast bfloat16 instructions."""


@dataclass(frozen=True)
class TrainingEngine:
    """The resolved engine options, which are saved with the state of a run, since other values round differently.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        precision: ``"fp32"`` or ``"bf16"``.
        threads: compute threads on a CPU.
        winograd: use the Winograd algorithm for wide 3×3 convolutions (float32 on a CPU).
        processes: number of processes that share each batch.
    """

    device: str
    precision: str
    threads: int
    winograd: bool
    processes: int = 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)

    def prepare(self, net: SegmentationNetwork, group: Group | None = None) -> SegmentationNetwork:
        """Move the network to the device, with the memory format and kernels that are fast there.

        Args:
            net: a new network.
            group: the processes over which batch norm is synchronised in training.
        """
        if self.device == "cpu":
            torch.set_num_threads(self.threads)
        else:
            torch.backends.cudnn.benchmark = True
        if self.winograd:
            use_winograd(net)
        if self.device == "cpu" and self.precision == "bf16":
            use_strided(net)
        if group is not None:
            net = share_batch_norm(net, group, self.device)
        placed: SegmentationNetwork = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed

    def normalize(self, images: Tensor, normalization: Normalization) -> Tensor:
        """Normalise uint8 [N, H, W, 3] to the network's input: float32 [N, 3, H, W], channels last in memory."""
        return normalize(images.to(self.device, non_blocking=True), normalization)

    def autocast(self) -> torch.autocast:
        """Autocast context that runs the convolutions in the chosen precision; the loss stays in float32."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")


def resolve(options: EngineOptions, group: Group | None = None) -> TrainingEngine:
    """Replace ``auto`` by the best choice for this machine; processes on one host share its cores.

    Raises:
        OptionError: a GPU is requested, but there is none.
    """
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise OptionError("engine.device is cuda, but PyTorch finds no GPU here; use auto or cpu")
    if options.threads < 0:
        raise OptionError(f"engine.threads is {options.threads}; it must be at least 1, or 0 for all cores")
    precision = options.precision
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device == "cuda" else bf16_is_fast()
        precision = "bf16" if fast else "fp32"
    group = group or Group()
    threads = options.threads or max(1, usable_cores() // group.local_world)
    return TrainingEngine(device, precision, threads, device == "cpu" and precision == "fp32", group.world)


def loading_processes(options: EngineOptions, engine: TrainingEngine, group: Group) -> int:
    """Number of data loading processes for this process.

    On a CPU, 0 is best, since the network keeps all cores busy.  A GPU waits for frames, so its process uses the
    available cores, up to 8.
    """
    if options.workers is not None:
        return options.workers
    return 0 if engine.device == "cpu" else min(8, max(1, usable_cores() // group.local_world - 1))


def has_bf16_instructions() -> bool:
    """Whether the CPU has bfloat16 multiplication instructions."""
    return any(_has(name) for name in (_AVX512, _AMX, _ARM))


def bf16_is_fast() -> bool:
    """Whether the CPU multiplies bfloat16 faster than float32.

    AMX and the instructions of Arm and AMD do.  Intel's vector instruction (AVX512-BF16) multiplies at half the rate of
    float32, which matters if AMX is absent or, as in many virtual machines, hidden.
    """
    return _has(_AMX) or _has(_ARM) or (_has(_AVX512) and "intel" not in processor_name().lower())


def _has(name: str) -> bool:
    check = getattr(torch.cpu, name, None)  # private names, which may disappear
    return check is not None and bool(check())
