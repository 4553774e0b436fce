#!/usr/bin/env bash
# Holds tests/actions.txt of each pipe in step with the requests that its tests saw: `compare FILE` fails when they
# differ, `write FILE` makes the lists anew. FILE is what the tests left at the path in RECORDED_ACTIONS.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:?compare or write} recorded=${2:?the file of RECORDED_ACTIONS}
status=0
for pipe in s3-deploy ecs-deploy lambda-deploy; do
  list=pipes/$pipe/tests/actions.txt
  if [ "$mode" = compare ] && [ ! -e "$list" ]; then
    echo "$pipe has no list yet; \`ci/actions.sh write FILE\` makes it"
    continue
  fi
  seen=$(sed -n "s/^$pipe //p" "$recorded" | LC_ALL=C sort -u)
  if [ "$mode" = write ]; then
    printf '%s\n' "$seen" > "$list"
  else
    diff -u --label "$list" --label "the requests of its tests" "$list" <(printf '%s\n' "$seen") || status=1
  fi
done
exit $status
