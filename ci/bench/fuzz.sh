#!/usr/bin/env bash
# Looks for inputs that break what ci/fuzz says of each reader, with cargo-fuzz and the address sanitizer: SECONDS for
# each target, one after another, and a table of how it went. A finding is left in target/fuzz/findings/<target>.
#   ci/bench/fuzz.sh [SECONDS] [TARGET …]    600 seconds and all targets if not given
# It needs cargo, a C++ compiler and the sanitizer's library, which is part of the Rust toolchain; the nightly flags that
# cargo-fuzz gives are allowed by RUSTC_BOOTSTRAP. New inputs stay in target/fuzz/corpus: those in ci/fuzz/corpus are few,
# chosen by hand.
set -euo pipefail
seconds=600
case ${1:-} in
  '' | [a-z]*) ;;
  *[!0-9]*) sed -n '2,8s/^# //p' "$0"; exit 1 ;;
  *) seconds=$1; shift ;;
esac
cd "$(dirname "$0")/../.."
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
home=$target/fuzz
version=0.13.2
export RUSTC_BOOTSTRAP=1 PATH="$home/tools/bin:$PATH"
step() { printf '== %s\n' "$*" >&2; }

if [ "$(cargo fuzz --version 2> /dev/null)" != "cargo-fuzz $version" ]; then
  step "cargo-fuzz, once"
  cargo install --quiet --locked --root "$home/tools" "cargo-fuzz@$version"
fi
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(sed -n '/^\[\[bin\]\]/,/^name/s/^name = "\(.*\)"/\1/p' ci/fuzz/Cargo.toml)

step "the targets"
cargo fuzz build --fuzz-dir ci/fuzz --target-dir "$home"

rows=()
failed=0
for name in "${targets[@]}"; do
  step "$name, $seconds s"
  corpus=$home/corpus/$name findings=$home/findings/$name log=$home/$name.log
  mkdir -p "$corpus" "$findings"
  status=0
  # An input of more than 16 KiB finds nothing that a shorter one does not. A run that takes 10 s is a finding too.
  cargo fuzz run --fuzz-dir ci/fuzz --target-dir "$home" "$name" "$corpus" "ci/fuzz/corpus/$name" -- \
    -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$findings/" > "$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  verdict=none
  if [ "$status" != 0 ]; then
    failed=1
    verdict="**$(grep -m1 -oE "panicked at .*|ERROR: .*" "$log" || echo "exit $status")**"
  fi
  rows+=("| \`$name\` | $seconds | ${runs:-?} | ${coverage:-?} | $(find "$corpus" -type f | wc -l) | ${memory:-?} | $verdict |")
done

{
  echo "| target | seconds | runs | edges covered | inputs kept | peak MB | findings |"
  echo "|---|---|---|---|---|---|---|"
  printf '%s\n' "${rows[@]}"
} | tee "$home/table.md"
exit "$failed"
