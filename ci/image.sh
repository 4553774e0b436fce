#!/usr/bin/env bash
# Builds the images of pipes, and checks what came out: its content, its size, its start, and `docker run` in all the ways
# that users have, against the local AWS. It starts an engine where none answers, see ci/engine.sh.
#   ci/image.sh all | PIPE...
#   ci/image.sh --build all | PIPE...     build only
# The base images are the official ones; where they cannot be pulled, stand-ins of the same names, and it says so.
set -euo pipefail
build_only=no
if [ "${1:-}" = --build ]; then build_only=yes; shift; fi
[ $# -gt 0 ] || { sed -n '2,6s/^# //p' "$0"; exit 1; }
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$*"; }

mapfile -t every < <(find pipes -mindepth 2 -maxdepth 2 -name pipe.yml -printf '%h\n' | sed 's#^pipes/##' | sort)
pipes=("$@")
[ "$*" != all ] || pipes=("${every[@]}")
for pipe in "${pipes[@]}"; do
  [ -f "pipes/$pipe/pipe.yml" ] || { echo "there is no pipe $pipe; there are: ${every[*]}"; exit 1; }
done
version=$(cargo pkgid --package shared)
version=${version##*[#@]}
revision=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || revision=$revision-dirty

engine=$(ci/engine.sh start)
eval "$engine"

step "base images"
rust=$(sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)
ci/base-images.sh "$rust"
if docker image inspect --format '{{json .Config.Labels}}' "$rust" | grep -q keyless-pipes.stand-in; then
  echo "$rust: a stand-in made here of Debian's packages and the installed toolchain; these images are for tests only"
else
  echo "$rust: official"
fi

step "images of ${pipes[*]}"
for pipe in "${pipes[@]}"; do
  began=$SECONDS
  image=keylesspipes/$pipe:$version
  arguments=(--build-arg "PIPE=$pipe" --build-arg "VERSION=$version" --build-arg "REVISION=$revision")
  docker build --quiet "${arguments[@]}" --tag "$image" . > /dev/null
  echo "$image, in $((SECONDS - began)) s"
  if docker buildx ls 2> /dev/null | grep -q linux/arm64; then
    docker buildx build --quiet --load --platform linux/arm64 "${arguments[@]}" --tag "$image-arm64" . > /dev/null
    docker run --rm --platform linux/arm64 "$image-arm64" --version
  fi
done
if ! docker buildx ls 2> /dev/null | grep -q linux/arm64; then
  echo "linux/amd64 only: this engine has no builder or emulator for linux/arm64, so it was NOT built or tried here"
fi
[ "$build_only" = no ] || exit 0

step "checks of ${pipes[*]}"
tools=$(ci/tools.sh)
"$tools/hadolint" Dockerfile
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
LOCAL_AWS_ENDPOINT=${LOCAL_AWS_ENDPOINT:-$(ci/local-aws.sh start)}
trap '[ "$was_running" = yes ] || ci/local-aws.sh stop > /dev/null' EXIT
cargo build --locked --quiet -p shared --features testing --example local_account
export LOCAL_AWS_ENDPOINT LOCAL_ACCOUNT="${CARGO_TARGET_DIR:-target}/debug/examples/local_account"
export IMAGE_PIPES="${pipes[*]}" IMAGE_VERSION="$version"
"$tools/python" -m unittest discover --start-directory ci/images --verbose
