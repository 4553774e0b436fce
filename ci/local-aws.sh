#!/usr/bin/env bash
# The local AWS of the tests and of the demo: `start` prints its endpoint, starting it only if it does not run;
# `stop` ends it; `status` says which of the two it is. It needs bash and Python 3.10 or later and no container:
# ministack, pinned with its dependencies in ci/local-aws.lock, runs in an environment of its own under target/.
#
# AUTH=true makes it check signatures and evaluate policies: key id `test` with secret `test` is the root of account
# 000000000000, a number of twelve digits with secret `test` that of the account with this number.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock_file=$root/ci/local-aws.lock
home=$root/target/local-aws
venv=$home/venv
log=$home/log
wanted_port=${LOCAL_AWS_PORT:-4599}
deadline_seconds=60

say() { printf 'local-aws: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

saved() { cat "$home/$1" 2>/dev/null || true; }

# The process is ours only if it is still the program that we started: ids are used again.
is_alive() {
  local pid=$1 command
  [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null || return 1
  if [[ -r /proc/$pid/cmdline ]]; then
    command=$(tr '\0' ' ' <"/proc/$pid/cmdline")
  else
    command=$(ps -o command= -p "$pid")
  fi
  [[ $command == *ministack* ]]
}

# One request without curl, which a small image may lack.
is_healthy() {
  local address=${1#http://} answer=
  [[ -n $address ]] || return 1
  {
    exec 3<>"/dev/tcp/${address%:*}/${address#*:}" || return 1
  } 2>/dev/null
  printf 'GET /_ministack/health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&3
  IFS= read -r -t 5 answer <&3 || true
  exec 3>&-
  [[ $answer == "HTTP/1.1 200"* ]]
}

# Many test processes call this at once. The lock belongs to descriptor 9, so it outlives the Python that takes it.
take_turn() {
  mkdir -p "$home"
  exec 9>"$home/turn"
  python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

check_python() {
  command -v python3 >/dev/null || fail "python3 is missing; it runs the local AWS"
}

check_version() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
    || fail "$(python3 --version) is too old; the local AWS needs Python 3.10 or later"
}

# Debian keeps the part of Python that makes environments in a package of its own.
check_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null && return
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say "installing python3-venv"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv; } \
      >"$home/apt.log" 2>&1 9>&- || { tail -n 20 "$home/apt.log" >&2; fail "could not install python3-venv"; }
    python3 -c 'import ensurepip, venv' 2>/dev/null && return
  fi
  fail "this Python cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"
}

install() {
  if [[ -x $venv/bin/python ]] && cmp -s "$lock_file" "$venv/installed.lock"; then
    return
  fi
  check_version
  check_venv
  say "installing into target/local-aws/venv (once)"
  rm -rf "$venv"
  # Wheels only: building a source archive would run code that no hash covers.
  {
    python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      --require-hashes --only-binary :all: -r "$lock_file"
  } >"$home/install.log" 2>&1 9>&- || { tail -n 20 "$home/install.log" >&2; fail "could not install"; }
  cp "$lock_file" "$venv/installed.lock"
}

free_port() {
  python3 - "$wanted_port" <<'PYTHON'
import socket, sys

for port in (int(sys.argv[1]), 0):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(probe.getsockname()[1])
        break
PYTHON
}

# The first call of each service takes up to seconds, which would look like a slow test.
warm_up() {
  "$venv/bin/python" - "$1" <<'PYTHON'
import sys
from botocore.session import Session

session = Session()
session.set_credentials("test", "test")
service = lambda name: session.create_client(name, region_name="us-east-1", endpoint_url=sys.argv[1])
service("sts").get_caller_identity()
service("iam").list_roles()
s3, place = service("s3"), {"Bucket": "warm-up", "Key": "object"}
s3.create_bucket(Bucket="warm-up")
s3.put_object(**place, Body=b"warm")
s3.get_object(**place)["Body"].read()
s3.list_objects_v2(Bucket="warm-up")
s3.delete_object(**place)
s3.delete_bucket(Bucket="warm-up")
PYTHON
}

launch() {
  local port endpoint pid give_up
  port=$(free_port)
  endpoint=http://127.0.0.1:$port
  # A clean environment, since the AWS variables of the caller would change its root key; a session and descriptors
  # of its own, so that it survives the caller's terminal and keeps neither the turn nor the caller's pipe open.
  env -i PATH="$PATH" HOME="$home" TMPDIR="$home" BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" AUTH=true LOG_LEVEL=WARNING \
    "$venv/bin/python" -c 'import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])' \
    "$venv/bin/python" "$root/ci/ministack_fast.py" </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  printf '%s\n' "$pid" >"$home/pid"
  give_up=$((SECONDS + deadline_seconds))
  until is_healthy "$endpoint"; do
    if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= give_up)); then
      tail -n 20 "$log" >&2
      kill "$pid" 2>/dev/null || true
      fail "it ended, or did not answer within $deadline_seconds s; the end of target/local-aws/log is above"
    fi
    sleep 0.1
  done
  if ! warm_up "$endpoint" >>"$log" 2>&1 9>&-; then
    tail -n 20 "$log" >&2
    kill "$pid" 2>/dev/null || true
    fail "it started but does not work; the end of target/local-aws/log is above"
  fi
  # Written last: whoever finds it may use it without taking a turn.
  printf '%s\n' "$endpoint" >"$home/endpoint"
}

is_running() { is_alive "$(saved pid)" && is_healthy "$(saved endpoint)"; }

is_current() { is_running && cmp -s "$lock_file" "$venv/installed.lock"; }

# A loaded machine answers late: ending a process that others are using would fail all their tests.
is_current_in_time() {
  local give_up=$((SECONDS + deadline_seconds))
  until is_current; do
    cmp -s "$lock_file" "$venv/installed.lock" && is_alive "$(saved pid)" && ((SECONDS < give_up)) || return 1
    [[ -n $(saved endpoint) ]] || return 1
    sleep 0.2
  done
}

end() {
  local pid
  pid=$(saved pid)
  rm -f "$home/endpoint"
  if is_alive "$pid"; then
    kill "$pid" 2>/dev/null || true
    for _ in {1..50}; do
      is_alive "$pid" || break
      sleep 0.1
    done
    ! is_alive "$pid" || kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$home/pid"
}

case ${1:-} in
  start)
    check_python
    if ! is_current; then
      take_turn
      if ! is_current_in_time; then
        end
        install
        launch
      fi
    fi
    saved endpoint
    ;;
  stop)
    check_python
    take_turn
    end
    ;;
  status)
    if is_running; then
      printf 'running at %s (process %s)\n' "$(saved endpoint)" "$(saved pid)"
    else
      printf 'not running\n'
      exit 1
    fi
    ;;
  *)
    printf 'usage: %s start|stop|status\n' "$0" >&2
    exit 2
    ;;
esac
