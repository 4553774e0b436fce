#!/usr/bin/env bash
# The guide "Leave your secret keys" of pipes/oidc-migrate/README.md, run on a repository made for it and a local AWS:
#   ci/guide.sh           compares the README and its picture with what the commands print now
#   ci/guide.sh --write   puts it there
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-compare}
readme=pipes/oidc-migrate/README.md picture=pipes/oidc-migrate/guide.svg
target=$(realpath "${CARGO_TARGET_DIR:-target}")

cargo build --locked --quiet -p oidc-migrate
cargo build --locked --quiet -p shared --features testing --example local_account
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
endpoint=${LOCAL_AWS_ENDPOINT:-$(ci/local-aws.sh start)}
work=$(mktemp -d)
trap 'rm -rf "$work"; [ "$was_running" = yes ] || [ -n "${LOCAL_AWS_ENDPOINT:-}" ] || ci/local-aws.sh stop > /dev/null' EXIT
# An account that nobody has used: its number is the key id of its root user.
account=7$(date +%s%N | cut -c 4-14)
# Those of shared/examples/local_account.rs, which signs the token.
workspace='{11111111-1111-4111-8111-111111111111}' repository='{22222222-2222-4222-8222-222222222222}'
production='{33333333-3333-4333-8333-333333333333}' staging='{55555555-5555-4555-8555-555555555555}'
token=$("$target/debug/examples/local_account" "$endpoint" "guide-$account" | sed -n 's/^BITBUCKET_STEP_OIDC_TOKEN=//p')
[ -n "$token" ] || { echo "could not set up the local AWS at $endpoint"; exit 1; }

mkdir "$work/shop"
cd "$work/shop"
git init --quiet .
git remote add origin git@bitbucket.org:acme/shop.git
cat > bitbucket-pipelines.yml <<'YAML'
image: node:22

definitions:
  steps:
    - step: &deploy
        name: Deploy the shop
        script:
          - npm ci && npm run build
          - pipe: atlassian/aws-s3-deploy:0.5.0   # the site
            variables:
              AWS_ACCESS_KEY_ID: $AWS_ACCESS_KEY_ID
              AWS_SECRET_ACCESS_KEY: $AWS_SECRET_ACCESS_KEY
              AWS_DEFAULT_REGION: eu-west-1
              S3_BUCKET: $SITE_BUCKET
              LOCAL_PATH: dist
              DELETE_FLAG: 'true'

pipelines:
  branches:
    main:
      - step:
          <<: *deploy
          deployment: staging
      - step:
          <<: *deploy
          deployment: production
          trigger: manual
YAML
git add . && git -c user.name=acme -c user.email=acme@example.com commit --quiet -m 'deploy the shop'

# Nothing that differs from run to run stays.
steady() {
  sed -E -e "s/$account/123456789012/g" -e 's/until [0-9:]{8}Z/until 14:05:09Z/' -e 's/access key …[0-9]{4}/access key …MPLE/' -e 's/holds for [0-9]+ s/holds for 3600 s/' \
    -e '/^  sub /s/\{[0-9a-f-]{36}\}$/{44444444-4444-4444-8444-444444444444}/' -e "s#$work/##g"
}
oidc_migrate() {
  env -i PATH=/usr/bin:/bin NO_COLOR=1 AWS_ENDPOINT_URL="$endpoint" "${surroundings[@]}" "$target/debug/oidc-migrate" "$@"
}
surroundings=(NO_COLOR=1)
# A command and what it prints, as a block; what stands between the lines that begin like FROM and TO is left out.
show() {
  local from=$1 to=$2 command
  shift 2
  command=$(printf '%s ' "$@" | sed "s/ $//; s/^oidc_migrate/oidc-migrate/; s/\([{][^ ]*[}]\)/'\1'/g")
  [ "${#command}" -le 100 ] || command=$(sed 's/ --\(workspace\|repository\|environment\|set\)/ \\\n    --\1/g' <<< "$command")
  printf '\n```text\n$ %s\n' "$command"
  { "$@" 2>&1 || true; } | steady | awk -v from="$from" -v to="$to" '
    from != "" && index($0, from) == 1 { print "…"; skip = 1 }
    skip && index($0, to) == 1 { skip = 0 }
    !skip { print }'
  printf '```\n\n'
}

guide() {
  cat <<'TEXT'

The repository `acme/shop` deploys a site to two environments, with one step behind an anchor and two secret variables.
What follows is made by `ci/guide.sh`, in this order.

**1. Look.**
TEXT
  show '' '' oidc_migrate inspect
  echo '**2. Create provider and roles.** The UUIDs are under Repository settings → OpenID Connect. `iam` prints the same for'
  echo 'Terraform, CloudFormation and aws-cli; `--apply` does it, and without `--yes` it asks before the first change.'
  surroundings=(AWS_ACCESS_KEY_ID="$account" AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-west-1)
  show 'create     role bitbucket-shop-staging' 'AWS_OIDC_ROLE_ARN' oidc_migrate iam --apply --yes --workspace-uuid "$workspace" --repository-uuid "$repository" \
    --environment "staging=$staging" --environment "production=$production" \
    --set staging:SITE_BUCKET=shop-staging --set production:SITE_BUCKET=shop
  echo '**3. Set the deployment variable** `AWS_OIDC_ROLE_ARN` of each environment to the ARN above. It is no secret.'
  echo
  echo '**4. Edit on a branch.** First the difference, then the same with `--write`.'
  surroundings=(NO_COLOR=1)
  show 'Work order' '✔' oidc_migrate plan
  show '---' '✔' oidc_migrate rewrite --write
  echo '**5. See that the token gets in.** The log of a pipe says `Authenticated as … (OIDC, …)`; `doctor` in the step says more:'
  surroundings=(BITBUCKET_DEPLOYMENT_ENVIRONMENT=production AWS_OIDC_ROLE_ARN="arn:aws:iam::$account:role/bitbucket-shop-production"
    AWS_DEFAULT_REGION=eu-west-1
    BITBUCKET_STEP_OIDC_TOKEN="$token")
  show '' '' oidc_migrate doctor
  echo '**6. Delete the variables, then the key.** `rewrite --write` ends with this list, too:'
  surroundings=(NO_COLOR=1)
  git checkout --quiet bitbucket-pipelines.yml
  show '' '' oidc_migrate work-order
  echo '**7. Keep it so.** As long as a step uses keys `check` is red:'
  show '' '' oidc_migrate check
  echo 'and with the edit in place it is green:'
  oidc_migrate rewrite --write > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  show '' '' oidc_migrate check
}

guide > "$work/guide.md"
git checkout --quiet bitbucket-pipelines.yml
{
  echo '$ oidc-migrate check'
  { oidc_migrate check || true; } | steady
  echo
  echo '$ oidc-migrate plan'
  oidc_migrate plan 2>&1 | steady | sed '/^Work order/,$d'
  echo
  echo '$ oidc-migrate rewrite --write'
  oidc_migrate rewrite --write 2>&1 | steady | tail -n 1
  echo
  echo '$ oidc-migrate check'
  oidc_migrate check 2>&1 | steady
} > "$work/session"
cd - > /dev/null
python3 ci/terminal_picture.py < "$work/session" > "$work/guide.svg"
# The text between the marks is the guide's.
awk -v file="$work/guide.md" '
  /^<!-- guide -->$/ { print; while ((getline line < file) > 0) print line; print "<!-- end of the guide -->"; skip = 1; next }
  /^<!-- end of the guide -->$/ { skip = 0; next }
  !skip { print }
' "$readme" > "$work/readme.md"
if [ "$mode" = --write ]; then
  cp "$work/readme.md" "$readme"
  cp "$work/guide.svg" "$picture"
else
  diff -u "$readme" "$work/readme.md" && diff -u "$picture" "$work/guide.svg"
fi
