#!/usr/bin/env bash
# The one definition of green: format, lints, the demo, every test. Sets up all it needs, with cargo and python3.
set -euo pipefail
cd "$(dirname "$0")/.."
export CLIPPY_CONF_DIR="$PWD/ci"

step() { printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"; }

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

step "the target server of the benchmarks"
sink=(--locked --manifest-path ci/bench/sink/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/bench/sink")
cargo fmt --manifest-path ci/bench/sink/Cargo.toml --check
cargo clippy "${sink[@]}" --all-targets -- -D warnings
cargo test --quiet "${sink[@]}"

step "licences, second versions, banned crates, sources"
ci/deny.sh

step "the fuzz targets"
cargo fmt --manifest-path ci/fuzz/Cargo.toml --check
# Built only by ci/bench/fuzz.sh; here its lockfile has to fit, and the tests below try its corpus again.
cargo metadata --locked --manifest-path ci/fuzz/Cargo.toml --format-version 1 > /dev/null

step "every pipe stands in the README's table, and nothing else does"
diff <(find pipes -mindepth 2 -maxdepth 2 -name pipe.yml -printf '%h\n' | sort) \
  <(sed -n 's/^| \[`[a-z0-9-]*`\](\(pipes\/[a-z0-9-]*\)\/README.md).*/\1/p' README.md | sort)
[ "$(wc -l < README.md)" -le 150 ] || { echo "README.md has more than 150 lines"; exit 1; }

step "metadata, examples of pipelines and the changelog are in step"
tools=$(ci/tools.sh)
"$tools/python" ci/documents.py
"$tools/hadolint" Dockerfile ci/images/runner/Dockerfile

step "jq, with which a test reads what lambda-deploy leaves for later steps"
if ! command -v jq > /dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then echo "jq is missing: install it"; exit 1; fi
  log=$(mktemp)
  { apt-get update && apt-get install --yes --no-install-recommends jq; } > "$log" 2>&1 || { tail -n 20 "$log"; exit 1; }
fi
jq --version

step "local AWS"
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
LOCAL_AWS_ENDPOINT=$(ci/local-aws.sh start)
export LOCAL_AWS_ENDPOINT
trap '[ "$was_running" = yes ] || ci/local-aws.sh stop > /dev/null' EXIT
echo "$LOCAL_AWS_ENDPOINT"

step "demo"
ci/demo.sh shared/src

step "images"
skipped=0
if docker info > /dev/null 2>&1; then
  ci/image.sh all
  ci/demo.sh --docker shared/src
elif [ "${CI:-}" = true ]; then
  echo "no container engine answers: \`. <(ci/engine.sh start)\` starts one on Debian"
  exit 1
else
  skipped=$(grep -c '    def test_' ci/images/test_*.py | awk -F: '{ sum += $2 } END { print sum }')
  echo "SKIPPED: no container engine answers, so no image was built and the $skipped tests of images did not run."
  echo '         eval "$(ci/engine.sh start)" starts one on Debian, as root; ci/engine.sh stop ends it.'
fi

step "the guide of oidc-migrate prints what its README says"
ci/guide.sh

step "tests"
RECORDED_ACTIONS=$(mktemp)
results=$(mktemp)
export RECORDED_ACTIONS
# The tables of faults and of killed runs come below: the local AWS falls over when others ask it meanwhile.
cargo test --locked --workspace --all-features -- --skip _under_faults --skip _are_killed | tee "$results"

step "the lists from which policies are proven are those of the requests that the tests saw"
ci/actions.sh compare "$RECORDED_ACTIONS"

# What ci/bench shows at length, in its short form and under the limits of there.
step "faults"
ci/bench/faults.sh --short | tee -a "$results"

step "killed runs"
KILLED_RUNS=6 ci/bench/killed.sh | tee -a "$results"

step "load, by the program of the tests"
ci/bench/load.sh --binary "${CARGO_TARGET_DIR:-target}/debug/s3-deploy" --keys 1000,5000 --large 1

step "the same bytes in any directory"
ci/bench/reproducible.sh --short oidc-migrate

step "the sum of the tests"
awk -v skipped="$skipped" '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$results"
