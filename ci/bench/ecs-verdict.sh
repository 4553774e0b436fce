#!/usr/bin/env bash
# How late the end of a rollout is seen, and at how many calls a minute: our pipe beside `aws ecs wait services-stable`,
# against a server that plays rollouts of known lengths, all at the same time. The server's history has four earlier
# rollouts of each service, of 85 to 115 % of the length; the second line is without one. It takes about four minutes.
#   ci/bench/ecs-verdict.sh [--rollouts N] [--shortest SECONDS] [--longest SECONDS] [--seed N]
#   ci/bench/ecs-verdict.sh --binary PATH …    another binary than that of this tree
# It needs cargo and python3.
set -euo pipefail

binary=
arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --binary) binary=$(realpath -- "$2"); shift 2 ;;
    --rollouts | --shortest | --longest | --seed) arguments+=("$1" "$2"); shift 2 ;;
    *) sed -n '2,7s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
home=$target/bench
mkdir -p "$home"
step() { printf '== %s\n' "$*" >&2; }
. ci/bench/peers.sh

if [ -z "$binary" ]; then
  step "our pipe, in release mode"
  cargo build --locked --quiet --release -p ecs-deploy
  binary=$target/release/ecs-deploy
fi
install_peers "$home/venv"

step "the rollouts"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 ci/bench/ecs_rollouts.py --pipe "$binary" --aws "$home/venv/bin/aws" --scratch "$scratch" \
  ${arguments[@]+"${arguments[@]}"} | tee "$home/ecs-verdict.txt"
