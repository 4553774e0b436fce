#!/usr/bin/env bash
# What one run with 500 functions, or 500 services, asks of the API each second: lambda-deploy and ecs-deploy before a
# proxy that answers after 50 ms and refuses what is over the documented rates, with the local AWS behind it. It prints a
# table, left in target/bench/fleet.md too, and fails where a run does.
#   ci/bench/fleet.sh [--count N] [--only functions|services] [--lambda-deploy PATH] [--ecs-deploy PATH]
# It needs cargo and python3, and ten minutes, in which it mostly waits.
set -euo pipefail
declare -A binaries=([lambda-deploy]='' [ecs-deploy]='')
arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --lambda-deploy | --ecs-deploy) binaries[${1#--}]=$(realpath -- "$2"); shift 2 ;;
    --count | --only) arguments+=("$1" "$2"); shift 2 ;;
    *) sed -n '2,6s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
mkdir -p "$target/bench"
for pipe in "${!binaries[@]}"; do
  if [ -z "${binaries[$pipe]}" ]; then
    printf '== %s, in release mode\n' "$pipe" >&2
    cargo build --locked --quiet --release -p "$pipe"
    binaries[$pipe]=$target/release/$pipe
  fi
done
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
endpoint=$(ci/local-aws.sh start)
trap '[ "$was_running" = yes ] || ci/local-aws.sh stop > /dev/null' EXIT
# The AWS SDK for Python is there because the local AWS stands on it.
target/local-aws/venv/bin/python ci/bench/fleet.py --endpoint "$endpoint" --lambda-deploy "${binaries[lambda-deploy]}" \
  --ecs-deploy "${binaries[ecs-deploy]}" ${arguments[@]+"${arguments[@]}"} | tee "$target/bench/fleet.md"
