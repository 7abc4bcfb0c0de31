#!/usr/bin/env bash
# Train what benchmarks/results/evidence/ reports, one run after another at the lowest priority.
#
#   RESCLI_DATA=DIR benchmarks/evidence/campaign.sh SCRATCH_DIR PEER_CHECKOUT
#
# Given again it goes on where it was stopped. Each beginning and end of a command is one line of
# SCRATCH_DIR/journal.jsonl. PEER_CHECKOUT is a checkout of github.com/akamaster/pytorch_resnet_cifar10.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mkdir -p "$1" && cd "$1" && pwd)
peer=$(cd "$2" && pwd)
cd "$work"
echo 19 > /proc/self/autogroup 2> /dev/null || true
renice -n 19 $$ > /dev/null
mkdir -p finished
exec 9> lock
flock --nonblock 9 || { echo "another campaign trains in $work"; exit 1; }

step() { # NAME COMMAND...: once to its end, as often as it takes
  local name=$1 began code
  shift
  [ -e "finished/$name" ] && return 0
  began=$(date --utc +%FT%TZ)
  echo "{\"step\": \"$name\", \"begun\": \"$began\"}" >> journal.jsonl
  "$@" >> "$name.log" 2>&1
  code=$?
  echo "{\"step\": \"$name\", \"begun\": \"$began\", \"ended\": \"$(date --utc +%FT%TZ)\", \"exit_code\": $code}" \
    >> journal.jsonl
  [ $code -eq 0 ] || exit $code
  touch "finished/$name"
}

short=(--precision fp32 --set iterations=4000 --set 'schedule.milestones=[2000,3000]' --runs runs)

step degradation rescli compare he2015/resnet-20 he2015/plain-20 he2015/resnet-56 he2015/plain-56 \
  "${short[@]}" --out degradation
for seed in 0 1 2; do
  step "peer-seed$seed" python "$here/peer_akamaster.py" "$peer" --seed $seed --state peer \
    --json "peer/seed$seed.json"
done
early() { # PRECISION SEED: the first iterations of resnet-56, to see how much seeds differ
  local run=early/$1-seed$2
  if [ -e "$run/record.json" ]; then
    rescli train --resume "$run"
  else
    rescli train he2015/resnet-56 --precision "$1" --seed "$2" --out "$run" --set iterations=500 \
      --set 'schedule.milestones=[400]' --set schedule.gamma=1.0
  fi
}
for seed in 1 2 3; do
  step "early-fp32-seed$seed" early fp32 "$seed"
done
step early-bf16-seed0 early bf16 0
step gradients python "$here/gradients.py" runs/cifar10-resnet-56-seed0-*/checkpoints/last.safetensors \
  --json gradients.json
# What is compared with resnet-20 does not matter here: compare takes two things or more.
step seeds rescli compare he2015/resnet-20 runs/cifar10-plain-20-seed0-* --seeds 3 "${short[@]}" --out seeds
longer() { # PRECISION SEED: one of them for as long as the learning rate of the others is 0.1
  local run=early/$1-seed$2
  if [ -e "$run-longer/record.json" ]; then
    rescli train --resume "$run-longer"
  else
    rescli train --resume "$run" --iterations 2000 --out "$run-longer"
  fi
}
step early-longer longer fp32 1
step table6 rescli reproduce table6 --only resnet-20 --set precision=fp32 --runs runs --out table6
step fig6 rescli reproduce fig6 --only plain-20 --set precision=fp32 --runs runs --out fig6
