#!/usr/bin/env bash
# SIGKILL, SIGTERM and SIGINT at random moments of a deploy, 200 times for each pipe, each followed by a run that nobody
# ends: prints how they ended, and leaves it in target/bench/killed.md. The seed of the moments is in the table.
#   KILLED_RUNS=200 KILLED_SEED=… ci/bench/killed.sh [pipe …]    such as `s3-deploy`; all of them without one
# KILLED_SECONDS begins no further run after that time, for each table.
# It needs cargo and python3.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/bench/under_faults.sh
KILLED_RUNS=${KILLED_RUNS:-200} tried killed _are_killed "$@"
