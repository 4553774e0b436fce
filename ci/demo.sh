#!/usr/bin/env bash
# The main job, end to end, on a local AWS: a step's OIDC token, no keys, and a directory becomes a site.
#   ci/demo.sh [--keep] [--docker] [DIRECTORY]
#     DIRECTORY   what to deploy; this workspace's own rustdoc if none is given
#     --keep      leave the local AWS running
#     --docker    with the image instead of the bare binary; it is built first
set -euo pipefail
usage() { sed -n '2,6s/^# //p' "$0"; }

keep=no
docker=no
directory=
for argument in "$@"; do
  case "$argument" in
    --keep) keep=yes ;;
    --docker) docker=yes ;;
    --help | -h) usage; exit 0 ;;
    -*) echo "unknown option $argument"; usage; exit 1 ;;
    *) directory=$(realpath -- "$argument") ;;
  esac
done
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$*"; }

step "build the pipe"
if [ "$docker" = yes ]; then
  engine=$(ci/engine.sh start)
  eval "$engine"
  ci/image.sh --build s3-deploy
else
  cargo build --locked --quiet -p s3-deploy
fi
cargo build --locked --quiet -p shared --features testing --example local_account
target=${CARGO_TARGET_DIR:-target}
if [ -z "$directory" ]; then
  cargo doc --locked --quiet --no-deps --workspace
  directory=$(realpath "$target/doc")
fi
version=$(cargo pkgid --package shared)
version=${version##*[#@]}
if [ "$docker" = yes ]; then program=keylesspipes/s3-deploy:$version local_path=/site; else program=$target/debug/s3-deploy local_path=$directory; fi
echo "$program, for $(find -L "$directory" -type f | wc -l) files"

step "a local AWS: identity provider, role, bucket, and a token as Bitbucket signs it"
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
endpoint=$(ci/local-aws.sh start)
[ "$keep" = yes ] || [ "$was_running" = yes ] || trap 'ci/local-aws.sh stop > /dev/null' EXIT
declare -A account
while IFS='=' read -r name value; do account[$name]=$value; done \
  < <("$target/debug/examples/local_account" "$endpoint" "demo-site-$$")
[ -n "${account[S3_BUCKET]:-}" ] || { echo "could not set up the local AWS at $endpoint"; exit 1; }
for name in AWS_OIDC_ROLE_ARN S3_BUCKET BITBUCKET_WORKSPACE BITBUCKET_REPO_UUID BITBUCKET_DEPLOYMENT_ENVIRONMENT; do
  echo "$name=${account[$name]}"
done

# As the platform runs a pipe: nothing in the environment but what was declared, and no keys.
deploy() {
  local variables=(NO_COLOR=1 AWS_ENDPOINT_URL="$endpoint" AWS_DEFAULT_REGION=us-east-1
    S3_BUCKET="${account[S3_BUCKET]}/docs" LOCAL_PATH="$local_path" DELETE_FLAG=true
    AWS_OIDC_ROLE_ARN="${account[AWS_OIDC_ROLE_ARN]}"
    BITBUCKET_WORKSPACE="${account[BITBUCKET_WORKSPACE]}" BITBUCKET_REPO_SLUG="${account[BITBUCKET_REPO_SLUG]}"
    BITBUCKET_BUILD_NUMBER="${account[BITBUCKET_BUILD_NUMBER]}"
    BITBUCKET_DEPLOYMENT_ENVIRONMENT="${account[BITBUCKET_DEPLOYMENT_ENVIRONMENT]}" "$@")
  if [ "$docker" = yes ]; then
    # Loopback, where the local AWS listens, is the host's own.
    docker run --rm --network host --volume "$directory:/site:ro" "${variables[@]/#/--env=}" "$program"
  else
    env -i "${variables[@]}" "$program"
  fi
}
# A site has many files: the first few lines of the plan, and how many more there were.
shorten() {
  awk '/^upload / { if (++uploads > 5) { more++; next } }
       more && !/^upload / { print "        … and " more " more"; more = 0 }
       { print }'
}
own=(BITBUCKET_REPO_UUID="${account[BITBUCKET_REPO_UUID]}" BITBUCKET_STEP_OIDC_TOKEN="${account[BITBUCKET_STEP_OIDC_TOKEN]}")
other=(BITBUCKET_REPO_UUID="${account[OTHER_REPO_UUID]}" BITBUCKET_STEP_OIDC_TOKEN="${account[OTHER_TOKEN]}")

step "first deploy"
deploy "${own[@]}" | shorten
step "second deploy: nothing is left to do"
second=$(deploy "${own[@]}")
echo "$second"
grep -q 'uploaded 0, deleted 0' <<< "$second"
step "the token of another repository is refused"
if deploy "${other[@]}"; then
  echo "it was not refused"
  exit 1
fi

step "done"
if [ "$keep" = yes ]; then
  echo "the local AWS goes on at $endpoint, with the bucket ${account[S3_BUCKET]}; for its root user:"
  echo "  export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1"
  echo "  ci/local-aws.sh stop"
fi
