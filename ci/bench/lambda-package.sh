#!/usr/bin/env bash
# Packs the same real tree with lambda-deploy, with `zip -r` and with Python's zipfile, all at deflate level 6, and prints
# a table: seconds, processor seconds, size, ratios to ours. The table is also left in target/bench/lambda-package.md.
#   ci/bench/lambda-package.sh [--binary PATH] [--repeats N]
# The tree is about 105 MB of Python packages by their exact versions; it stays in target/bench for the next time. It needs
# cargo, python3, zip and an otherwise idle machine, and takes about two minutes.
set -euo pipefail

binary=
repeats=5
while [ $# -gt 0 ]; do
  case "$1" in
    --binary) binary=$(realpath -- "$2"); shift 2 ;;
    --repeats) repeats=$2; shift 2 ;;
    *) sed -n '2,6s/^# //p' "$0"; exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
home=$target/bench/lambda-package
mkdir -p "$home"
step() { printf '== %s\n' "$*" >&2; }

if [ -z "$binary" ]; then
  step "our pipe, in release mode"
  cargo build --locked --quiet --release -p lambda-deploy
  binary=$target/release/lambda-deploy
fi
command -v zip > /dev/null || { echo "zip is not installed"; exit 1; }

packages=(boto3==1.40.0 botocore==1.40.0 numpy==2.3.2 cryptography==45.0.5 pydantic==2.11.7 pydantic-core==2.33.2 requests==2.32.4)
if [ "$(cat "$home/packages" 2> /dev/null)" != "${packages[*]}" ]; then
  step "the tree, once"
  rm -rf "$home/tree"
  python3 -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary :all: \
    --target "$home/tree" "${packages[@]}"
  # Ours leaves Python's caches out; so that all have the same to do, there are none.
  find "$home/tree" -name __pycache__ -prune -exec rm -r {} +
  echo "${packages[*]}" > "$home/packages"
fi

step "the runs"
python3 ci/bench/lambda_package.py --binary "$binary" --home "$home" --repeats "$repeats" \
  --table "$target/bench/lambda-package.md"
