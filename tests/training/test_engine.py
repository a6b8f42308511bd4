"""What ``auto`` resolves to on a CPU."""

from __future__ import annotations

import pytest
import torch

from aaff.training.engine import resolve
from aaff.training.recipe import EngineOptions


@pytest.mark.parametrize(
    ("processor", "instructions", "chosen"),
    [
        ("Intel(R) Xeon(R) Processor", {"_is_avx512_bf16_supported"}, "fp32"),  # AMX hidden by the virtual machine
        ("Intel(R) Xeon(R) Processor", {"_is_avx512_bf16_supported", "_is_amx_tile_supported"}, "bf16"),
        ("AMD EPYC", {"_is_avx512_bf16_supported"}, "bf16"),
        ("Neoverse-V2", {"_is_arm_bf16_supported"}, "bf16"),
        ("AMD EPYC", set(), "fp32"),
    ],
)
def test_bfloat16_is_taken_where_it_is_the_faster_one(
    processor: str, instructions: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aaff.training.engine.processor_name", lambda: processor)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in instructions, raising=False)
    engine = resolve(EngineOptions(device="cpu"))
    assert (engine.precision, engine.winograd) == (chosen, chosen == "fp32")
