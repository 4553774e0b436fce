#!/usr/bin/env bash
# The tools that look at images, metadata and pipeline files: installs those of ci/tools.lock into an environment of
# their own, once, and prints the folder of their programs.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/target/tools
if ! cmp -s ci/tools.lock "$venv/installed.lock"; then
  echo "tools: installing into target/tools (once)" >&2
  rm -rf "$venv"
  mkdir -p target
  # Debian keeps the part of Python that makes environments in a package of its own.
  if ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "tools: install python3-venv" >&2; exit 1; }
    { apt-get update && apt-get install --yes --no-install-recommends python3-venv; } > target/tools.log 2>&1 || { tail -n 20 target/tools.log >&2; exit 1; }
  fi
  # Wheels only: building a source archive would run code that no hash covers.
  {
    python3 -m venv "$venv" \
      && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r ci/tools.lock
  } > target/tools.log 2>&1 || { tail -n 20 target/tools.log >&2; exit 1; }
  cp ci/tools.lock "$venv/installed.lock"
fi
echo "$venv/bin"
