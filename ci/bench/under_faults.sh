# What faults.sh and killed.sh share: `tried NAME TESTS [pipe …]` runs the tests of that name in every pipe's own tests, and
# keeps what they print in target/bench/NAME.md. A pipe with a cell that did not end as it must fails the whole, at the end.
tried() {
  local name=$1 tests=$2 table status=0 pipe
  shift 2
  [ $# -gt 0 ] || set -- s3-deploy ecs-deploy lambda-deploy
  table=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")/bench/$name.md
  mkdir -p "$(dirname "$table")"
  LOCAL_AWS_ENDPOINT=${LOCAL_AWS_ENDPOINT:-$(ci/local-aws.sh start)}
  export LOCAL_AWS_ENDPOINT
  : > "$table"
  for pipe; do
    cargo test --locked --quiet -p "$pipe" --test pipe -- "$tests" --nocapture --test-threads 1 | tee -a "$table" || status=1
  done
  echo "== the table is in $table" >&2
  return "$status"
}
