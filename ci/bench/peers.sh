# Sourced: makes the virtual environment `$1` with the peers of ci/bench/peers.lock, unless it has them.
install_peers() {
  local venv=$1
  cmp -s ci/bench/peers.lock "$venv/installed.lock" && return
  step "the peers, once"
  rm -rf "$venv"
  python3 -m venv "$venv"
  # Wheels only: building a source archive would run code that no hash covers.
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r ci/bench/peers.lock
  cp ci/bench/peers.lock "$venv/installed.lock"
}
