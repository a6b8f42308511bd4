#!/usr/bin/env bash
# Train from a checkpoint on a GPU that is available for a few minutes, and keep at most 16 MiB of results.
#
#   scripts/train_on_gpu.sh CHECKPOINT MINUTES OUT DATA... [-- OPTIONS OF aaff train]
#
# CHECKPOINT is a value for --warm-start (a file, a run folder or a published name).  OUT receives best.safetensors and
# last.safetensors in half precision, metrics and curves; a later call can start from OUT/last.safetensors.  The full run
# is kept in RUN; as long as it exists, the same command resumes it exactly.  The learning rate decreases over EPOCHS;
# use a first call with EPOCHS=2 to see how many epochs fit into the minutes.
#
# Environment: RECIPE (streets), EPOCHS (60), BATCH (64), DEVICE (cuda), PRECISION (bf16), RUN (OUT.run), PYTHON (python).
set -euo pipefail

if [ $# -lt 4 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
checkpoint=$1 minutes=$2 out=$3
shift 3
data=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    data+=("$1")
    shift
done
[ $# -eq 0 ] || shift
run=${RUN:-$out.run}

words=(--data "${data[@]}" --out "$run" --minutes "$minutes" --engine.device "${DEVICE:-cuda}")
words+=(--engine.precision "${PRECISION:-bf16}" --checkpoint-minutes 1)
if [ -e "$run/last.state.safetensors" ]; then
    words+=(--resume)
else
    words+=(--recipe "${RECIPE:-streets}" --warm-start "$checkpoint" --epochs "${EPOCHS:-60}" --batch "${BATCH:-64}" "$@")
fi
"${PYTHON:-python}" -m aaff train "${words[@]}"

"${PYTHON:-python}" - "$run" "$out" <<'END'
import shutil
import sys
from pathlib import Path

import torch

from aaff.networks.weights import read_checkpoint, save_checkpoint

MOST = 16 * 2**20

run, out = map(Path, sys.argv[1:])
out.mkdir(parents=True, exist_ok=True)
for name in ("recipe.yaml", "metrics.csv", "metrics.jsonl", "curves.svg"):
    if (run / name).is_file():
        shutil.copy(run / name, out / name)
for name in ("last.safetensors", "best.safetensors"):
    if (run / name).is_file():
        save_checkpoint(out / name, *read_checkpoint(run / name), dtype=torch.float16)
size = sum(path.stat().st_size for path in out.iterdir())
if size > MOST and (out / "best.safetensors").is_file():  # a large network: its last weights alone go home
    (out / "best.safetensors").unlink()
    size = sum(path.stat().st_size for path in out.iterdir())
if not (out / "last.safetensors").is_file():
    sys.exit("no epoch was finished; give more minutes")
print(f"{out}: {size / 2**20:.1f} MiB")
sys.exit(f"{out} is larger than 16 MiB" if size > MOST else 0)
END
