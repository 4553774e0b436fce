#!/usr/bin/env python3
"""Prints where an image comes from: an in-toto statement with SLSA provenance (https://slsa.dev/provenance/v1).

usage: ci/provenance.py PIPE NAME DIGEST BASE BASE_DIGEST

It is not signed: whoever publishes it signs it with their own key.
"""

import datetime
import json
import os
import subprocess
import sys


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def statement(pipe: str, name: str, digest: str, base: str, base_digest: str) -> dict:
    revision = git("rev-parse", "HEAD")
    tag = git("describe", "--tags", "--exact-match")
    build = os.environ.get("BITBUCKET_BUILD_NUMBER")
    algorithm, value = digest.split(":")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {algorithm: value}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://bitbucket.org/keylesspipes/release/docker-build/v1",
                "externalParameters": {"recipe": "Dockerfile", "arguments": {"PIPE": pipe, "VERSION": tag, "RUST_IMAGE": base}},
                "resolvedDependencies": [
                    {"uri": f"git+https://bitbucket.org/keylesspipes/{pipe}@refs/tags/{tag}", "digest": {"gitCommit": revision}},
                    {"uri": f"docker-image://{base}", "digest": {"sha256": base_digest.split("sha256:")[-1]}},
                ],
            },
            "runDetails": {
                "builder": {"id": "https://bitbucket.org/keylesspipes/release/" + ("pipelines" if build else "by-hand")},
                "metadata": {
                    **({"invocationId": build} if build else {}),
                    "finishedOn": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            },
        },
    }


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    print(json.dumps(statement(*sys.argv[1:]), indent=2))
