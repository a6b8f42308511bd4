#!/usr/bin/env bash
# Train a published model again, from ImageNet weights to its exported files.
#
#   scripts/train_again.sh MODEL OUT DATA... [-- OPTIONS OF aaff train]
#
# MODEL and its DATA:
#   camvid_lite0           CamVid; three stages on train
#   camvid_lite0_trainval  CamVid; the first stage on train, the others on train + val
#   street                 CamVid and the output of scripts.prepare_streets; two stages (the bundled weights had eight)
#
# OUT receives the runs (first, second, third), MODEL.safetensors, MODEL-int8.onnx and MODEL-fp32.onnx.  It takes from
# hours to a day on two cores; if it is interrupted, run the same command again to resume it.
#
# Environment: PYTHON (python).
set -euo pipefail

usage() {
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 3 ] || usage
model=$1 out=$2
shift 2
data=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    data+=("$1")
    shift
done
[ $# -eq 0 ] || shift
python=${PYTHON:-python}

# stage RUN OPTIONS: a run from its recipe, or what is left of it; ends the script if it is not trained to the end.
stage() {
    local run=$1 rest=()
    shift
    [ ! -e "$run/last.state.safetensors" ] || rest=(--resume)
    "$python" -m aaff train --data "${data[@]}" --out "$run" "$@" ${rest[@]+"${rest[@]}"}
    local wanted trained
    wanted=$(sed -n 's/^epochs: //p' "$run/recipe.yaml")
    trained=$(tail -n 1 "$run/metrics.csv" 2>/dev/null | cut -d, -f1 || true)
    if [ "$wanted" != "$trained" ]; then
        echo "$run has ${trained:-0} of $wanted epochs; run the same command again to go on" >&2
        exit 3
    fi
}

licence="research and other non-commercial use only"
publish=(--adjust 1) splits=() export=()
case $model in
camvid_lite0) ;;
camvid_lite0_trainval)
    splits=(--train-split train+val --val-split none)
    export=(--temperature 1.237) # that of camvid_lite0: no labelled frame is left to calibrate on
    ;;
street)
    publish=(--adjust 0.5)
    ;;
*)
    usage
    ;;
esac

if [ "$model" = street ]; then
    last=$out/second
    stage "$out/first" --recipe streets "$@"
    stage "$last" --recipe streets-finetune --warm-start "$out/first/last.safetensors" "$@"
else
    last=$out/third
    stage "$out/first" --recipe camvid --options pretrained=true auxiliary=true blocks=3 detail=false "$@"
    stage "$out/second" --recipe camvid --warm-start "$out/first/last.safetensors" --epochs 44 --eval-every 11 \
        --optim.lr 1.2e-3 --optim.warmup 0.5 ${splits[@]+"${splits[@]}"} "$@"
    stage "$last" --recipe camvid-finetune --warm-start "$out/second/last.safetensors" ${splits[@]+"${splits[@]}"} "$@"
fi
"$python" -m scripts.publish_model "$last/last.safetensors" "$model" --out "$out" --licence "$licence" \
    "${publish[@]}" --data "${data[@]}"
for precision in int8 fp32; do
    "$python" -m aaff export "$out/$model.safetensors" --precision "$precision" --confidence ${export[@]+"${export[@]}"} \
        --data "${data[0]}" --overwrite --out "$out/$model-$precision.onnx"
done
