#!/usr/bin/env bash
# How s3-deploy grows: deploys of 10,000 to a million keys, first and again, and one file of 50 GiB, to a server on the
# same machine that keeps no content. It prints tables, and fails where a run takes more than 100 MB or its time for a
# key more than doubles. The tables are also left in target/bench/load.md.
#   ci/bench/load.sh [--keys 10000,…] [--large GIGABYTES] [--report] [--binary PATH]
#   --keys ''    no keys; --large 0: no large file
#   --report     with a place for report.json, which holds every name
# It needs cargo and python3, 3 GiB of memory under /dev/shm, and about ten minutes; nothing of it is left behind.
set -euo pipefail

binary=
arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --binary) binary=$(realpath -- "$2"); shift 2 ;;
    --keys | --large) arguments+=("$1" "$2"); shift 2 ;;
    --report) arguments+=("$1"); shift ;;
    *) sed -n '2,8s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
home=$target/bench
mkdir -p "$home"
step() { printf '== %s\n' "$*" >&2; }

step "the target server"
cargo build --locked --quiet --release --manifest-path ci/bench/sink/Cargo.toml --target-dir "$home/sink"
if [ -z "$binary" ]; then
  step "our pipe, in release mode"
  cargo build --locked --quiet --release -p s3-deploy
  binary=$target/release/s3-deploy
fi

step "the deploys"
python3 ci/bench/load.py --sink "$home/sink/release/sink" --ours "$binary" ${arguments[@]+"${arguments[@]}"} \
  | tee "$home/load.md"
