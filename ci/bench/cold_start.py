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


def bucket(name: str, site: str) -> list[str]:
    """The command line that deploys with this image, and the name of a new bucket behind it."""
    variables = [f"--env={key}={value}" for key, value in VARIABLES.items()]
    start = ["run", "--rm", "--network=host", f"--volume={site}:/site:ro", *variables]
    target = f"cold-start-{name}-{time.time_ns()}"
    request(target, "PUT")
    return [target, *start]


def request(path: str, method: str = "GET") -> str:
    with urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/{path}", method=method)) as answer:
        return answer.read().decode()


def measure(address: str, name: str, deploy: callable, rounds: int) -> dict[str, float]:
    image = f"{address}/{name}:bench"
    rows = []
    with tempfile.TemporaryDirectory() as site:
        pathlib.Path(site).chmod(0o755)
        for file, content in FILES.items():
            (pathlib.Path(site) / file).write_text(content)
        for _ in range(rounds):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)
            pull = seconds("pull", "--quiet", image)
            target, *start = bucket(name, site)
            first = seconds(*start, *deploy(image, target))
            missing = [file for file in FILES if f"<Key>{file}</Key>" not in request(target)]
            if missing:
                sys.exit(f"{name} has not deployed {missing}")
            again = seconds(*start, *deploy(image, target))
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
