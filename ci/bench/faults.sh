#!/usr/bin/env bash
# Every fault at the first, a middle and the last call of each kind, for each pipe: prints "pipe, call, fault, place, how it
# ended, after the second run", and leaves it in target/bench/faults.md.
#   ci/bench/faults.sh [--short] [pipe …]    such as `s3-deploy`; all of them without one
#   --short    every fault at the call that matters most, and one fault at every other call: minutes
# FAULTS=ListMultipartUploads tries every fault at the last call of this kind, and one fault at every other call.
# It needs cargo and python3. Faults that are waited out take their time: allow an hour for each pipe.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/bench/under_faults.sh
if [ "${1:-}" = --short ]; then
  shift
  unset FAULTS
else
  export FAULTS=${FAULTS:-all}
fi
tried faults _under_faults "$@"
