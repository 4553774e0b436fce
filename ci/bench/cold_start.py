"""In: the address of a registry on loopback and a number of rounds. Out: a table of sizes, times and ratios.

A round forgets the image, pulls it, deploys a site of three files, and deploys it again. Every round has a bucket of its
own on the local AWS, and what is there afterwards is compared, since a program that does nothing is always the fastest.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from botocore.session import Session

ENDPOINT = os.environ["LOCAL_AWS_ENDPOINT"]
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": ENDPOINT,
}
FILES = {"index.html": "<h1>it works</h1>", "app.js": "start()", "style.css": "a{}"}


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"docker {' '.join(arguments)}\n{done.stdout}")
    return done.stdout


def seconds(*arguments: str) -> float:
    begin = time.perf_counter()
    docker(*arguments)
    return time.perf_counter() - begin


def manifest(address: str, name: str) -> dict:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://{address}/v2/{name}/manifests/bench", headers=accept)) as answer:
        return json.load(answer)


def s3():
    session = Session()
    session.set_credentials(VARIABLES["AWS_ACCESS_KEY_ID"], VARIABLES["AWS_SECRET_ACCESS_KEY"])
    return session.create_client("s3", region_name=VARIABLES["AWS_DEFAULT_REGION"], endpoint_url=ENDPOINT)


def measure(address: str, name: str, deploy: callable, rounds: int) -> dict[str, float]:
    image = f"{address}/{name}:bench"
    variables = [f"--env={key}={value}" for key, value in VARIABLES.items()]
    client, rows = s3(), []
    with tempfile.TemporaryDirectory() as site:
        pathlib.Path(site).chmod(0o755)
        for file, content in FILES.items():
            (pathlib.Path(site) / file).write_text(content)
        for _ in range(rounds):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)
            pull = seconds("pull", "--quiet", image)
            target = f"cold-start-{time.time_ns()}"
            client.create_bucket(Bucket=target)
            command = ["run", "--rm", "--network=host", f"--volume={site}:/site:ro", *variables, *deploy(image, target)]
            first = seconds(*command)
            missing = set(FILES) - {each["Key"] for each in client.list_objects_v2(Bucket=target).get("Contents", [])}
            if missing:
                sys.exit(f"{name} has not deployed {sorted(missing)}")
            again = seconds(*command)
            rows.append((pull, first, pull + first, again))
    medians = dict(zip(("pull", "first", "both", "again"), map(statistics.median, zip(*rows))))
    found = manifest(address, name)
    compressed = sum(layer["size"] for layer in [found["config"], *found["layers"]])
    size = int(docker("image", "inspect", "--format={{.Size}}", image))
    return medians | {"compressed": compressed / 1e6, "disk": size / 1e6}


def main() -> None:
    address, rounds = sys.argv[1], int(sys.argv[2])
    ours = measure(address, "s3-deploy", lambda image, to: [f"--env=S3_BUCKET={to}", "--env=LOCAL_PATH=/site", image], rounds)
    peer = measure(address, "python-peer", lambda image, to: [image, "s3", "sync", "/site", f"s3://{to}"], rounds)
    print(f"| medians of {rounds} | s3-deploy | Python, awscli, toolkit | ratio |\n|---|---|---|---|")
    for key, title, unit in (
        ("compressed", "over the wire", "MB"),
        ("disk", "on disk", "MB"),
        ("pull", "pull", "s"),
        ("first", "first deploy", "s"),
        ("both", "pull and first deploy", "s"),
        ("again", "second deploy", "s"),
    ):
        print(f"| {title} | {ours[key]:.2f} {unit} | {peer[key]:.2f} {unit} | {peer[key] / ours[key]:.1f} |")


if __name__ == "__main__":
    main()
