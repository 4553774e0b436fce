#!/usr/bin/env bash
# What a step waits for before a pipe has done anything: pull, start and a first small deploy, of our image and of one with
# Python, awscli and the toolkit of the existing pipes, through a registry on loopback. Prints a table with sizes and
# ratios; it is also left in target/bench/cold-start.md. Loopback has no bandwidth limit: a real line adds to the sizes.
#   ci/bench/cold-start.sh [--rounds N]
# It needs root on Debian, cargo, python3 and an otherwise idle machine; it starts an engine of its own, twice, since one
# that has built an image has its layers already.
set -euo pipefail
rounds=5
case "${1:-}" in
  '') ;;
  --rounds) rounds=$2 ;;
  *) sed -n '2,7s/^# //p' "$0"; exit 1 ;;
esac
cd "$(dirname "$0")/../.."
home=$PWD/target/bench
mkdir -p "$home"
step() { printf '== %s\n' "$*" >&2; }
registry=

tidy() {
  [ -z "$registry" ] || kill "$registry"
  ENGINE_HOME=$home/engine ci/engine.sh prune
  [ "$was_running" = yes ] || ci/local-aws.sh stop > /dev/null
  rm -rf "$home/registry"
}
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
trap tidy EXIT

step "the images"
engine=$(ci/engine.sh start)
eval "$engine"
[[ ${DOCKER_HOST:-} == unix:///tmp/* ]] || { echo "another engine answers here, and its images cannot be forgotten for a measurement"; exit 1; }
ci/image.sh --build s3-deploy >&2
version=$(cargo pkgid --package shared)
version=${version##*[#@]}
ci/base-images.sh python:3.11-slim-bookworm
docker build --quiet --tag python-peer --file - ci/bench > /dev/null << 'DOCKERFILE'
FROM python:3.11-slim-bookworm
COPY cold-start.lock .
RUN pip install --no-cache-dir --require-hashes --only-binary :all: \
      --no-binary bitbucket-pipes-toolkit -r cold-start.lock
ENTRYPOINT ["aws"]
DOCKERFILE

step "a registry on loopback"
command -v docker-registry > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends docker-registry; } > "$home/apt.log" 2>&1
rm -rf "$home/registry"
address=127.0.0.1:$(python3 -c 'import socket; probe = socket.create_server(("127.0.0.1", 0)); print(probe.getsockname()[1])')
cat > "$home/registry.yml" << YAML
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $home/registry } }
http: { addr: "$address" }
YAML
docker-registry serve "$home/registry.yml" > "$home/registry.log" 2>&1 &
registry=$!
for _ in {1..50}; do { exec 3<> "/dev/tcp/${address/://}"; } 2> /dev/null && break; sleep 0.1; done
for image in "keylesspipes/s3-deploy:$version" python-peer; do
  name=${image##*/}
  docker tag "$image" "$address/${name%:*}:bench"
  docker push --quiet "$address/${name%:*}:bench" > /dev/null
done
ci/engine.sh stop

step "measure"
LOCAL_AWS_ENDPOINT=$(ci/local-aws.sh start)
export LOCAL_AWS_ENDPOINT
engine=$(unset DOCKER_HOST; ENGINE_HOME=$home/engine ci/engine.sh start)
eval "$engine"
"$(ci/tools.sh)/python" ci/bench/cold_start.py "$address" "$rounds" | tee "$home/cold-start.md"
