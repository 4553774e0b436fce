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
cargo build --locked --quiet -p shared --features testing --example step_token
was_running=$(ci/local-aws.sh status > /dev/null 2>&1 && echo yes || echo no)
endpoint=${LOCAL_AWS_ENDPOINT:-$(ci/local-aws.sh start)}
work=$(mktemp -d)
trap 'rm -rf "$work"; [ "$was_running" = yes ] || [ -n "${LOCAL_AWS_ENDPOINT:-}" ] || ci/local-aws.sh stop > /dev/null' EXIT
# An account that nobody has used: its number is the key id of its root user.
account=7$(date +%s%N | cut -c 4-14)
workspace='{2f1c0d5e-6f3a-4b57-9d0a-3c1e8b7a5d42}' repository='{8a7d3c21-14be-4c0f-8e55-0b9f6d2a7c13}'
production='{c3b9e0f4-5a68-4d71-b2f3-7e6d5c4b3a29}' staging='{5d4e3f2a-7b8c-4e9d-a0b1-c2d3e4f5a6b7}'

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
  sed -E -e "s/$account/123456789012/g" -e 's/until [0-9:]{8}Z/until 14:05:09Z/' -e 's/holds for [0-9]+ s/holds for 3600 s/' \
    -e '/^  sub /s/\{[0-9a-f-]{36}\}$/{00000000-0000-4000-8000-000000000000}/' -e "s#$work/##g"
}
oidc_migrate() {
  env -i PATH=/usr/bin:/bin NO_COLOR=1 AWS_ENDPOINT_URL="$endpoint" "${surroundings[@]}" "$target/debug/oidc-migrate" "$@"
}
surroundings=(NO_COLOR=1)
# A command and what it prints, as a block.
show() {
  printf '\n```text\n$ %s\n' "$(printf '%s ' "$@" | sed "s/ $//; s/^oidc_migrate/oidc-migrate/; s/\([{][^ ]*[}]\)/'\1'/g")"
  { "$@" 2>&1 || true; } | steady
  printf '```\n\n'
}

guide() {
  cat <<'TEXT'

The repository `acme/shop` deploys a site to two environments, with one step behind an anchor and two secret variables.
What follows is made by `ci/guide.sh`, in this order.

**1. Look.**
TEXT
  show oidc_migrate inspect
  echo '**2. Create provider and roles.** The UUIDs are under Repository settings → OpenID Connect. `iam` prints the same for'
  echo 'Terraform, CloudFormation and aws-cli; `--apply` does it, and without `--yes` it asks before the first change.'
  surroundings=(AWS_ACCESS_KEY_ID="$account" AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-west-1)
  show oidc_migrate iam --apply --yes --workspace-uuid "$workspace" --repository-uuid "$repository" \
    --environment "staging=$staging" --environment "production=$production" \
    --set staging:SITE_BUCKET=shop-staging --set production:SITE_BUCKET=shop
  echo '**3. Set the deployment variable** `AWS_OIDC_ROLE_ARN` of each environment to the ARN above. It is no secret.'
  echo
  echo '**4. Edit on a branch.** First the difference, then the same with `--write`.'
  surroundings=(NO_COLOR=1)
  show oidc_migrate plan
  show oidc_migrate rewrite --write
  echo '**5. See that the token gets in.** The log of a pipe says `Authenticated as … (OIDC, …)`; `doctor` in the step says more:'
  surroundings=(BITBUCKET_DEPLOYMENT_ENVIRONMENT=production AWS_OIDC_ROLE_ARN="arn:aws:iam::$account:role/bitbucket-shop-production"
    AWS_DEFAULT_REGION=eu-west-1
    BITBUCKET_STEP_OIDC_TOKEN="$("$target/debug/examples/step_token" acme "$workspace" "$repository" "$production")")
  show oidc_migrate doctor
  echo '**6. Delete the variables, then the key.** `rewrite --write` ends with this list, too:'
  surroundings=(NO_COLOR=1)
  git checkout --quiet bitbucket-pipelines.yml
  show oidc_migrate work-order
  echo '**7. Keep it so.** With the edit in place `check` is green, and red when somebody brings a key back:'
  oidc_migrate rewrite --write > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  show oidc_migrate check
}

guide > "$work/guide.md"
git checkout --quiet bitbucket-pipelines.yml
{
  echo '$ oidc-migrate check'
  { oidc_migrate check || true; } | steady
  echo
  echo '$ oidc-migrate plan'
  oidc_migrate plan 2>&1 | steady
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
