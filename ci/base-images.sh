#!/usr/bin/env bash
# Makes sure that each named base image is in the engine's store: ci/base-images.sh IMAGE...
# An image that can be pulled is. On a machine that reaches no registry of images a stand-in of the same name is made of
# Debian's packages (debootstrap) and the installed Rust toolchain, and labelled keyless-pipes.stand-in, since nothing
# that is built on one may be published: its CA bundle is that of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
label=keyless-pipes.stand-in
docker info > /dev/null 2>&1 || { echo 'base-images: no container engine answers: eval "$(ci/engine.sh start)"' >&2; exit 1; }
work=$(mktemp -d)
containers=()
trap 'rm -rf "$work"; [ "${#containers[@]}" = 0 ] || docker rm --force "${containers[@]}" > /dev/null' EXIT

say() { printf 'base-images: %s\n' "$*" >&2; }
quietly() { "$@" > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; say "failed: $*"; exit 1; }; }

# Debian, without what its own slim images leave out.
debian() {
  local suite=${1#debian:} tree=$work/tree
  suite=${suite%-slim}
  if ! command -v debootstrap > /dev/null; then
    [ "$(id -u)" = 0 ] || { say "making a stand-in needs root and debootstrap"; exit 1; }
    quietly apt-get update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends debootstrap
  fi
  quietly debootstrap --variant=minbase "$suite" "$tree"
  rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*.bin "$tree"/var/cache/apt/archives/*.deb \
    "$tree"/usr/share/{doc,man,info,locale}/* "$tree"/var/log/*.log
  tar -C "$tree" -c . | docker import --change 'CMD ["bash"]' --change "LABEL $label=true" - "$1" > /dev/null
  rm -rf "$tree"
}

# A container of Debian with packages and the machine's CA bundle, to be committed as $1 with the changes that follow.
container_with() {
  local name=$1
  shift
  containers+=("$name")
  docker create --name "$name" debian:bookworm-slim bash -c "apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $* && rm -rf /var/lib/apt/lists/*" > /dev/null
  quietly docker start --attach "$name"
  docker cp --follow-link /etc/ssl/certs/ca-certificates.crt "$name:/etc/ssl/certs/ca-certificates.crt"
}

rust() {
  local wanted toolchain name=stand-in-rust-$$
  wanted=${1#rust:}
  wanted=${wanted%%-*}
  toolchain=$(rustc --print sysroot)
  [[ $("$toolchain/bin/rustc" --version) == "rustc $wanted"* ]] || { say "the installed Rust is not $wanted"; exit 1; }
  ensure debian:bookworm-slim
  container_with "$name" gcc libc6-dev ca-certificates
  tar -C "$toolchain" --exclude='*/share' -c bin lib | docker cp - "$name:/usr/local"
  docker commit --change 'ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change "LABEL $label=true" "$name" "$1" > /dev/null
}

python() {
  local name=stand-in-python-$$
  ensure debian:bookworm-slim
  container_with "$name" python3 python3-pip python3-venv ca-certificates
  # The official images have their own Python, to which pip installs.
  docker commit --change 'ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
    --change "LABEL $label=true" "$name" "$1" > /dev/null
}

# An image of the pipeline runner: a shell, git and docker, see the Dockerfile.
helper() {
  ensure debian:bookworm-slim
  quietly docker build --target "$1" --label "$label=true" --tag "$2" ci/images/runner
}

ensure() {
  local image=$1
  docker image inspect "$image" > /dev/null 2>&1 && return
  if docker pull --quiet "$image" > "$work/pull" 2>&1; then return; fi
  say "$image cannot be pulled ($(tail -n 1 "$work/pull" | cut -c 1-160)): making a stand-in of the same name"
  case "$image" in
    debian:*) debian "$image" ;;
    rust:*) rust "$image" ;;
    python:*) python "$image" ;;
    *bitbucket-pipelines-docker-daemon:*) helper daemon "$image" ;;
    alpine* | */pause:* | docker:*) helper helper "$image" ;;
    *) say "no stand-in is known for it"; exit 1 ;;
  esac
}

for image in "$@"; do ensure "$image"; done
