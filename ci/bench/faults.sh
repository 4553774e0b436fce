#!/usr/bin/env bash
# Every fault at the first, a middle and the last call of each kind, for each pipe: prints "pipe, call, fault, place, how it
# ended, after the second run", and leaves it in target/bench/faults.md.
#   ci/bench/faults.sh [pipe …]    such as `s3-deploy`; all of them without one
# It needs cargo and python3. Faults that are waited out take their time: allow an hour for each pipe. With the name of a call
# for `all`, such as `FAULTS=ListMultipartUploads`, the tests try all faults at its last place alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/bench/under_faults.sh
FAULTS=all tried faults under_faults "$@"
