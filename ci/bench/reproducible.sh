#!/usr/bin/env bash
# Builds the binaries of pipes twice as their images have them, from copies of the committed files in two directories of
# other names and depths, with nothing in common but the downloaded crates, and compares every byte.
#   ci/bench/reproducible.sh [--short] [PIPE …]    all pipes if not given
#   --short    without the optimiser, and the crates that are no part of this workspace are built once: minutes
# It needs cargo, git, 8 GB of disk, and takes as long as two builds without any cache: half an hour for all pipes on two
# cores, some minutes for oidc-migrate.
# cargo-auditable, which writes the list of crates into a binary, is installed once, in the version of the Dockerfile.
set -euo pipefail
pipes=()
profile=image
while [ $# -gt 0 ]; do
  case "$1" in
    --short) profile=dev; shift ;;
    [a-z]*) pipes+=("$1"); shift ;;
    *) sed -n '2,7s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
packages=()
for pipe in ${pipes[@]+"${pipes[@]}"}; do packages+=(--package "$pipe"); done
if [ ${#pipes[@]} = 0 ]; then
  packages=(--workspace)
  for file in pipes/*/pipe.yml; do pipes+=("$(basename "$(dirname "$file")")"); done
fi
target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
root=$target/reproducible
rm -rf "$root"
trap 'rm -rf "$root"' EXIT
# Once, so that a commit in the meantime makes no difference.
revision=$(git rev-parse HEAD)
auditable=$(sed -n 's/.* --version \([0-9.]*\) cargo-auditable$/\1/p' Dockerfile)
# Its own --version is cargo's, so the folder has the version in its name.
tools=$target/tools-cargo-auditable-$auditable
[ -x "$tools/bin/cargo-auditable" ] || cargo install --quiet --locked --root "$tools" "cargo-auditable@$auditable"
registry=$(realpath -- "${CARGO_HOME:-$HOME/.cargo}")/registry/src
host=$(rustc -vV | sed -n 's/^host: //p')
folder=$profile
if [ "$profile" = dev ]; then
  folder=debug
  # As in an image, and all of it saves time.
  export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false \
    CARGO_PROFILE_DEV_OVERFLOW_CHECKS=false CARGO_PROFILE_DEV_PANIC=abort CARGO_PROFILE_DEV_STRIP=true
fi

places=("$root/one" "$root/quite/another directory")
# The flags and the date of the Dockerfile. Encoded, since a directory may have a blank in its name. The same in both
# places, or else cargo would build all crates again.
flags=(-Ctarget-feature=+crt-static -Clink-arg=-Wl,-z,pack-relative-relocs "--remap-path-prefix=$registry=crates")
for place in "${places[@]}"; do flags+=("--remap-path-prefix=$place=."); done
flags=$(printf '%s\x1f' "${flags[@]}")
for place in "${places[@]}"; do
  mkdir -p "$place"
  git archive "$revision" | tar -x -C "$place"
  if [ "$profile" = dev ] && [ -d "${places[0]}/target" ]; then
    # Cargo takes the workspace's own crates for built as well: it knows them by their place in the workspace.
    cp -a "${places[0]}/target" "$place"
    (cd "$place" && cargo clean --quiet --locked --workspace --target "$host" --target-dir target)
  fi
  printf '== %s in %s\n' "${pipes[*]}" "${place#"$root/"}" >&2
  (cd "$place" && env -u RUSTFLAGS SOURCE_DATE_EPOCH=0 PATH="$tools/bin:$PATH" CARGO_ENCODED_RUSTFLAGS="${flags%?}" CARGO_TARGET_DIR="$place/target" \
    cargo auditable build --locked --quiet --profile "$profile" "${packages[@]}" --bins --target "$host")
done

for pipe in "${pipes[@]}"; do
  one=${places[0]}/target/$host/$folder/$pipe other=${places[1]}/target/$host/$folder/$pipe
  sha256sum "$one" "$other" | sed "s|$root/||"
  if ! cmp -- "$one" "$other"; then
    trap - EXIT
    echo "the two builds of $pipe differ; both are kept in $root"
    exit 1
  fi
  if strings -a "$one" 2> /dev/null | grep -F "$root"; then
    echo "the binary of $pipe names the directory that it was built in"
    exit 1
  fi
  echo "two builds of $pipe ($profile) in different directories: $(stat -c %s "$one") bytes each, all the same"
done
