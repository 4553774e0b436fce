#!/usr/bin/env bash
# Deploys the same trees with our pipe and with its peers to the same server, and prints a table: time, memory,
# requests, whether the bucket equals the tree, and ratios to ours. The table is also left in target/bench/s3.md.
#   ci/bench/s3.sh [--loads A,B,C,D,D-no-md5,E,T] [--latency 0,20] [--peers ours,s5cmd,rclone,aws] [--quick] …
#   ci/bench/s3.sh --ours-only [--binary PATH] …    our rows only, of another binary if one is given
#   --quick      one run each, and none that takes over a minute
#   --repeats N  the median of N runs of what takes less than 15 s, also with --quick; 3 without it
#   --priority   before all other work of this machine, which then waits (for root)
# It needs cargo and python3, an otherwise idle machine, 10 GiB of memory and 3 GB of disk: the trees (made from a seed,
# see make_load.py) stay in target/bench/loads for the next time. The full table takes about half an hour.
set -euo pipefail
usage() { sed -n '2,10s/^# //p' "$0"; }

loads=A,B,C,D,D-no-md5,E,T
peers=ours,s5cmd,rclone,aws
binary=
arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --loads) loads=$2; shift 2 ;;
    --latency) arguments+=(--latency "$2"); shift 2 ;;
    --peers) peers=$2; shift 2 ;;
    --ours-only) peers=ours; shift ;;
    --binary) binary=$(realpath -- "$2"); shift 2 ;;
    --priority) arguments+=(--priority); shift ;;
    --repeats) arguments+=(--repeats "$2"); shift 2 ;;
    --quick) arguments+=(--quick); shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "unknown option $1"; usage; exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
home=$target/bench
mkdir -p "$home"
step() { printf '== %s\n' "$*" >&2; }
. ci/bench/peers.sh

step "the target server"
# Its MD5 is its largest cost, and a tenth faster with all that this processor has.
RUSTFLAGS="-C target-cpu=native" cargo build --locked --quiet --release --manifest-path ci/bench/sink/Cargo.toml \
  --target-dir "$home/sink"
if [ -z "$binary" ]; then
  step "our pipe, in release mode"
  cargo build --locked --quiet --release -p s3-deploy
  binary=$target/release/s3-deploy
fi

[ "$peers" = ours ] || install_peers "$home/venv"

step "the loads"
IFS=, read -ra names <<< "$loads"
python3 ci/bench/make_load.py "$home/loads" "${names[@]}"

step "the runs"
scratch=$(mktemp -d)
runner=
# The runner ends the server and the program that it measures.
trap '[ -z "$runner" ] || { kill "$runner" && wait "$runner"; } 2> /dev/null || true; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
python3 ci/bench/run.py --sink "$home/sink/release/sink" --trees "$home/loads" --scratch "$scratch" \
  --table "$home/s3.md" --ours "$binary" --venv "$home/venv" --loads "$loads" --peers "$peers" \
  ${arguments[@]+"${arguments[@]}"} &
runner=$!
status=0
wait "$runner" || status=$?
runner=
step "the table is in $home/s3.md"
exit "$status"
