#!/usr/bin/env bash
# Releases all pipes: ci/release.sh VERSION REGISTRY, such as `ci/release.sh 0.1.0 docker.io/keylesspipes`.
# Refuses when anything disagrees: the version of Cargo.toml, of every pipe.yml and README, the head of the changelog, the
# tag at this commit, a file that is not committed. Then it builds, tests, pushes, and writes under target/release-VERSION
# for each pipe what its repository holds at that tag (pipe.yml with the digest, README, icon, changelog), the SBOM of the
# pushed program (CycloneDX) and the provenance (SLSA, in-toto); and it prints the lines to paste into a pipeline.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,6s/^# //p' "$0"; exit 1; }
version=$1
registry=${2%/}
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$*"; }

step "everything is of version $version"
faults=()
expect() { [ "$2" = "$version" ] || faults+=("$1 is of version \`$2\`"); }
cargo=$(cargo pkgid --package shared)
expect Cargo.toml "${cargo##*[#@]}"
expect "the head of CHANGELOG.md" "$(sed -n 's/^## //p' CHANGELOG.md | head -n 1)"
mapfile -t pipes < <(find pipes -mindepth 2 -maxdepth 2 -name pipe.yml -printf '%h\n' | sed 's#^pipes/##' | sort)
for pipe in "${pipes[@]}"; do
  expect "pipes/$pipe/pipe.yml" "$(sed -n "s#^image: keylesspipes/$pipe:##p" "pipes/$pipe/pipe.yml")"
  while IFS= read -r named; do expect "pipes/$pipe/README.md" "$named"; done \
    < <(grep -o "keylesspipes/$pipe:[0-9][^ \`'\"]*" "pipes/$pipe/README.md" | sed 's/.*://' | sort -u)
done
[ "$(git tag --points-at HEAD --list "$version")" = "$version" ] || faults+=("this commit has no tag \`$version\`")
[ -z "$(git status --porcelain)" ] || faults+=("there are files that are not committed")
if [ ${#faults[@]} -gt 0 ]; then
  printf '✖ %s\n' "${faults[@]}"
  echo "  nothing was built or pushed"
  exit 1
fi
echo "Cargo.toml, CHANGELOG.md, the tag, and pipe.yml and README of ${pipes[*]}"

# shellcheck disable=SC1090
. <(ci/engine.sh start)
ci/image.sh all
base=$(sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)
if docker image inspect --format '{{json .Config.Labels}}' "$base" | grep -q keyless-pipes.stand-in; then
  # A stand-in has the certificates of this machine, which are nobody else's to trust.
  case "$registry" in
    127.0.0.1:*) echo "the base image is a stand-in: this is a rehearsal with a registry of this machine" ;;
    *) echo "✖ the base image $base is a stand-in made here"; echo "  nothing was pushed"; exit 1 ;;
  esac
fi

step "push to $registry"
tools=$(ci/tools.sh)
release=$PWD/target/release-$version
rm -rf "$release"
for pipe in "${pipes[@]}"; do
  folder=$release/$pipe
  mkdir -p "$folder"
  docker tag "keylesspipes/$pipe:$version" "$registry/$pipe:$version"
  docker push --quiet "$registry/$pipe:$version" > /dev/null
  reference=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$registry/$pipe:$version" | grep "^$registry/$pipe@")
  digest=${reference#*@}
  # By digest from the registry, so that what is described is what others get.
  docker image rm "$registry/$pipe:$version" "keylesspipes/$pipe:$version" > /dev/null
  docker pull --quiet "$reference" > /dev/null
  docker tag "$reference" "keylesspipes/$pipe:$version"
  [ "$(docker run --rm --network none "$reference" --version)" = "$pipe $version" ] || { echo "✖ $reference does not run"; exit 1; }

  cp "pipes/$pipe/README.md" "pipes/$pipe/icon.svg" CHANGELOG.md LICENSE "$folder"
  sed "s#^image: .*#&@$digest#" "pipes/$pipe/pipe.yml" > "$folder/pipe.yml"
  container=$(docker create "$reference")
  docker cp "$container:/pipe" "$folder/program" > /dev/null
  docker rm "$container" > /dev/null
  SYFT_CHECK_FOR_APP_UPDATE=false "$tools/syft" scan "file:$folder/program" --quiet --source-name "$pipe" --source-version "$version" \
    --output "cyclonedx-json=$folder/sbom.cdx.json"
  rm "$folder/program"
  python3 ci/provenance.py "$pipe" "$registry/$pipe" "$digest" "$base" \
    "$(docker image inspect --format '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$base")" > "$folder/provenance.json"
  echo "$reference"
done
"$tools/check-jsonschema" --quiet --schemafile ci/pipe.schema.json "$release"/*/pipe.yml

step "lines for a pipeline"
for pipe in "${pipes[@]}"; do
  digest=$(sed -n 's/^image: .*@//p' "$release/$pipe/pipe.yml")
  printf -- '- pipe: keylesspipes/%s:%s\n- pipe: docker://%s/%s@%s\n' "$pipe" "$version" "${registry#docker.io/}" "$pipe" "$digest"
done
echo
echo "SBOM, provenance and the files of each pipe's repository: ${release#"$PWD"/}"
