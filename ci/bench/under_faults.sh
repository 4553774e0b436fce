# What faults.sh and killed.sh share: `tried NAME TESTS [pipe …]` runs the tests of that name in every pipe's own tests, and
# keeps what they print in target/bench/NAME.md. A pipe with a cell that did not end as it must fails the whole, at the end.
tried() {
  local name=$1 tests=$2 table programs program built status=0 pipe
  shift 2
  [ $# -gt 0 ] || set -- s3-deploy ecs-deploy lambda-deploy oidc-migrate
  table=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")/bench/$name.md
  mkdir -p "$(dirname "$table")"
  LOCAL_AWS_ENDPOINT=${LOCAL_AWS_ENDPOINT:-$(ci/local-aws.sh start)}
  export LOCAL_AWS_ENDPOINT
  # With the features that ci/check.sh builds with: those of one package alone would compile the SDKs again.
  programs=$(cargo test --locked --quiet --workspace --all-features --test pipe --test account --no-run --message-format json | python3 -c '
import json, os, sys
for line in sys.stdin:
    built = json.loads(line)
    if built.get("executable") and built["profile"]["test"]:
        print(os.path.basename(os.path.dirname(built["manifest_path"])), built["executable"])')
  : > "$table"
  for pipe; do
    program=
    while read -r built; do
      # A pipe may have several test programs; only one of them has these tests.
      [[ -z $built || $("$built" "$tests" --list) != *': test'* ]] || program=$built
    done < <(sed -n "s/^$pipe //p" <<< "$programs")
    [ -n "$program" ] || { echo "there are no such tests of a pipe \`$pipe\`" >&2; return 1; }
    (cd "pipes/$pipe" && CARGO_PKG_NAME=$pipe "$program" "$tests" --nocapture --test-threads 1) | tee -a "$table" || status=1
  done
  echo "== the table is in $table" >&2
  return "$status"
}
