#!/usr/bin/env bash
# How long `oidc-migrate inspect` and `plan` take for 500 pipeline files of 200 lines: median of seven runs.
#   ci/bench/inspect.sh            with a release build
#   ci/bench/inspect.sh BINARY     with this one
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --locked --release -p oidc-migrate
    binary=target/release/oidc-migrate
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$work" <<'PYTHON'
import pathlib, sys

STEP = """      - step:
          name: Deploy {0}
          deployment: {1}
          caches:
            - node
          script:
            - npm ci
            - npm run build
            - pipe: atlassian/aws-s3-deploy:{2}
              variables:
                AWS_ACCESS_KEY_ID: $AWS_ACCESS_KEY_ID
                AWS_SECRET_ACCESS_KEY: $AWS_SECRET_ACCESS_KEY
                AWS_DEFAULT_REGION: 'eu-west-1'
                S3_BUCKET: 'www.example.com/{0}'
                LOCAL_PATH: 'dist'
                DELETE_FLAG: 'true'
"""
for number in range(500):
    lines = "image: node:20\n# the pipelines of a shop\npipelines:\n  branches:\n".splitlines()
    for index in range(100):
        if len(lines) > 183:
            break
        lines.append(f"    branch-{index}:")
        lines += STEP.format(index, f"stage-{index}", ["1.1.0", "0.3.8"][index % 2]).splitlines()
    lines += ["# end"] * (200 - len(lines))
    folder = pathlib.Path(sys.argv[1], "clones", f"repository-{number}")
    folder.mkdir(parents=True)
    folder.joinpath("bitbucket-pipelines.yml").write_text("\n".join(lines) + "\n")
PYTHON

python3 - "$binary" "$work/clones" <<'PYTHON'
import statistics, subprocess, sys, time

binary, folder = sys.argv[1:]
for name, arguments in [
    ("inspect", ["inspect", "--repository", folder]),
    ("inspect --format json", ["inspect", "--format", "json", "--repository", folder]),
    ("plan", ["plan", "--repository", folder]),
]:
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([binary, *arguments], check=True, stdout=subprocess.DEVNULL, env={"NO_COLOR": "1"})
        seconds.append(time.perf_counter() - start)
    print(f"{name:24} 500 files of 200 lines: median {statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s")
PYTHON
