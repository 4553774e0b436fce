#!/usr/bin/env bash
# The container engine of the image tests: `eval "$(ci/engine.sh start)"` makes `docker` work in the caller's shell,
# `stop` ends what start began. Where an engine answers already it is used as it is, and nothing is started. Else, as
# root on Debian, docker.io is installed and dockerd started by hand, with its data under target/engine or ENGINE_HOME.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=${ENGINE_HOME:-$root/target/engine}
deadline_seconds=60

say() { printf 'engine: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

saved() { cat "$home/$1" 2> /dev/null || true; }

# The process is ours only if it is still the program that we started: ids are used again.
is_alive() { [[ -n $1 && $(tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline") == *dockerd*"$home/root"* ]]; }

# A client without the buildx plugin builds with BuildKit only up to version 20.10, where the builder is in the daemon.
builds() {
  docker buildx version > /dev/null 2>&1 && return
  local version
  version=$(docker version --format '{{.Client.Version}}' 2> /dev/null) && [[ $version == 20.* ]]
}
answers() { command -v docker > /dev/null && docker info > /dev/null 2>&1; }

# What the caller has to evaluate.
settings() {
  printf 'export DOCKER_BUILDKIT=1\n'
  [ -z "${DOCKER_HOST:-}" ] || printf 'export DOCKER_HOST=%q\n' "$DOCKER_HOST"
  printf 'export PATH=%q\n' "$PATH"
}

# Debian's client and daemon are of one version; another client that comes first on PATH may have no builder.
prefer_debian() { [[ ! -x /usr/bin/docker ]] || PATH=/usr/bin:$PATH; }

install() {
  [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null || fail "no container engine answers, and this is no machine to install one on (Debian, root)"
  say "installing docker.io"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends docker.io; } \
    > "$home/apt.log" 2>&1 || { tail -n 20 "$home/apt.log" >&2; fail "could not install docker.io"; }
}

# runc asks for every capability when a container is privileged, and fails in a machine whose root lacks CAP_SYS_RESOURCE.
runtime_options() {
  local bounding
  bounding=$((16#$(sed -n 's/^CapBnd:\s*//p' /proc/self/status)))
  (((bounding >> 24) & 1)) || printf '%s\n' --add-runtime "within=$root/ci/engine_runtime.py" --default-runtime within
}

launch() {
  local give_up pid socket options
  # The path of a socket has at most 108 bytes, which a deep checkout would pass.
  socket=$(mktemp -d)/docker.sock
  mapfile -t options < <(runtime_options)
  # dockerd forbids forwarding and adds rules, and leaves both when it ends.
  [[ -e /sys/class/net/docker0 ]] || { iptables-save --table filter && iptables-save --table nat; } > "$home/rules-before"
  setsid dockerd --data-root "$home/root" --exec-root "$home/exec" --pidfile "$home/dockerd.pid" \
    --host "unix://$socket" "${options[@]}" < /dev/null > "$home/log" 2>&1 &
  pid=$!
  printf '%s\n' "$pid" > "$home/pid"
  export DOCKER_HOST=unix://$socket
  give_up=$((SECONDS + deadline_seconds))
  until answers; do
    if ! kill -0 "$pid" 2> /dev/null || ((SECONDS >= give_up)); then
      tail -n 20 "$home/log" >&2
      kill "$pid" 2> /dev/null || true
      fail "dockerd ended, or did not answer within $deadline_seconds s; the end of $home/log is above"
    fi
    sleep 0.1
  done
  printf '%s\n' "$DOCKER_HOST" > "$home/host"
  say "dockerd runs as process $pid, with its data under $home"
}

end() {
  local pid socket
  pid=$(saved pid)
  is_alive "$pid" || { rm -f "$home"/{pid,host}; return 0; }
  export DOCKER_HOST
  DOCKER_HOST=$(saved host)
  docker ps --all --quiet | xargs --no-run-if-empty docker rm --force > /dev/null 2>&1 || true
  kill "$pid"
  for _ in {1..100}; do
    is_alive "$pid" || break
    sleep 0.1
  done
  socket=${DOCKER_HOST#unix://}
  rm -rf "$home"/{pid,host} "${socket%/*}"
  umount "$home"/exec/netns/* 2> /dev/null || true
  if [[ -e $home/rules-before ]]; then
    ip link delete docker0 2> /dev/null || true
    iptables-restore < "$home/rules-before"
    rm -f "$home/rules-before"
  fi
}

mkdir -p "$home"
case ${1:-} in
  start)
    if is_alive "$(saved pid)"; then
      export DOCKER_HOST
      DOCKER_HOST=$(saved host)
      prefer_debian
    elif ! answers; then
      command -v dockerd > /dev/null || install
      prefer_debian
      launch
    fi
    builds || prefer_debian
    builds || fail "this docker client cannot build: install its buildx plugin"
    settings
    ;;
  stop) prefer_debian; end ;;
  prune) prefer_debian; end; rm -rf "$home" ;;
  *) printf 'usage: eval "$(%s start)" | %s stop|prune\n' "$0" "$0" >&2; exit 2 ;;
esac
