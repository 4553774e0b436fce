#!/usr/bin/env bash
# Prints the path of aws-cli, pinned in ci/aws-cli.lock and installed once into an environment of its own under target/:
# the tests give it the scripts and templates that oidc-migrate prints. It needs Python 3.10 or later.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock_file=$root/ci/aws-cli.lock
home=$root/target/aws-cli
venv=$home/venv

mkdir -p "$home"
# Several tests call this at once.
exec 9>"$home/turn"
python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
if ! { [[ -x $venv/bin/aws ]] && cmp -s "$lock_file" "$venv/installed.lock"; }; then
  echo "aws-cli: installing into target/aws-cli/venv (once)" >&2
  rm -rf "$venv"
  # Wheels only: building a source archive would run code that no hash covers.
  {
    python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      --require-hashes --only-binary :all: -r "$lock_file"
  } >"$home/install.log" 2>&1 9>&- || { tail -n 20 "$home/install.log" >&2; exit 1; }
  cp "$lock_file" "$venv/installed.lock"
fi
echo "$venv/bin/aws"
