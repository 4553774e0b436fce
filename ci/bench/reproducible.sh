#!/usr/bin/env bash
# Builds the binary of a pipe twice as its image has it, from copies of the committed files in two directories of other
# names and depths, with nothing in common but the downloaded crates, and compares every byte.
#   ci/bench/reproducible.sh [PIPE] [--profile PROFILE]    s3-deploy and image if not given
# It needs cargo, git, 4 GB of disk, and takes as long as two builds without any cache: 10 to 20 minutes on two cores.
# With --profile dev it takes a few, and says the same of paths and times, though not of the optimiser.
set -euo pipefail
pipe=s3-deploy
profile=image
while [ $# -gt 0 ]; do
  case "$1" in
    --profile) profile=$2; shift 2 ;;
    [a-z]*) pipe=$1; shift ;;
    *) sed -n '2,6s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 1 ;;
  esac
done
cd "$(dirname "$0")/../.."
root=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")/reproducible
rm -rf "$root"
trap 'rm -rf "$root"' EXIT
registry=$(realpath -- "${CARGO_HOME:-$HOME/.cargo}")/registry/src
host=$(rustc -vV | sed -n 's/^host: //p')
folder=$profile
[ "$profile" != dev ] || folder=debug

binaries=()
for place in "$root/one" "$root/quite/another directory"; do
  mkdir -p "$place"
  git archive HEAD | tar -x -C "$place"
  printf '== %s\n' "$place" >&2
  # The flags of the Dockerfile. Encoded, since a directory may have a blank in its name.
  flags=$(printf '%s\x1f' -Ctarget-feature=+crt-static -Clink-arg=-Wl,-z,pack-relative-relocs "--remap-path-prefix=$registry=crates" "--remap-path-prefix=$place=.")
  (cd "$place" && env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="${flags%?}" CARGO_TARGET_DIR="$place/target" \
    cargo build --locked --quiet --profile "$profile" --package "$pipe" --target "$host")
  binaries+=("$place/target/$host/$folder/$pipe")
done

sha256sum "${binaries[@]}" | sed "s|$root/||"
if ! cmp -- "${binaries[@]}"; then
  echo "the two builds of $pipe differ"
  exit 1
fi
if strings -a "${binaries[0]}" 2> /dev/null | grep -F "$root"; then
  echo "the binary of $pipe names the directory that it was built in"
  exit 1
fi
echo "two builds of $pipe ($profile) in different directories: $(stat -c %s "${binaries[0]}") bytes each, all the same"
