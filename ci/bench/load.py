"""In: our s3-deploy, the target server. Out: what a deploy needs as it grows: a table of keys up to a million, and one
file that is larger than the memory.

The tree is of names that link to a few files of one byte, in memory, so that what is measured is the pipe. Each size is
deployed to an empty bucket and then again, unchanged.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from programs import KEYS
from run import HERE, Sink

MOST_MEMORY = 100_000_000
# The processor time of a key may grow by this much from the first size to the last: the listing and the plan are sorted.
MOST_GROWTH = 2.0
LINKS = 10_000
DIRECTORIES = 1000
LIMIT_SECONDS = 1500


def name(number):
    return f"assets/{number % DIRECTORIES:04}/picture-{number:07}.png"


class Tree:
    def __init__(self, root):
        self.path, self.count = root / "tree", 0
        self.originals = root / "originals"
        self.originals.mkdir()

    def grow(self, count):
        for number in range(self.count, count):
            original = self.originals / str(number // LINKS)
            if number % LINKS == 0:
                original.write_bytes(b"x")
            link = f"{self.path}/{name(number)}"
            try:
                os.link(original, link)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(link))
                os.link(original, link)
        self.count = count


class Load:
    def __init__(self, binary, sink, scratch):
        self.binary, self.sink, self.scratch = binary, sink, scratch

    def deploy(self, path, words, more=()):
        """Runs the pipe; the server says what came, and the last line has to hold these words."""
        variables = KEYS | {"AWS_ENDPOINT_URL": self.sink.address, "S3_BUCKET": "bench", "LOCAL_PATH": str(path)}
        variables |= {"DELETE_FLAG": "true"} | dict(more)
        log = self.scratch / "log"
        measure = [sys.executable, "-I", "-S", str(HERE / "measure.py"), str(LIMIT_SECONDS), str(log)]
        result = subprocess.run([*measure, str(self.binary)], env=variables, stdout=subprocess.PIPE, check=True)
        result = json.loads(result.stdout)
        last = log.read_text(errors="replace").splitlines()[-1]
        if result["exit"] != 0 or words not in last:
            sys.exit(f"exit {result['exit']}: {last}")
        return result | self.sink.statistics()

    def keys(self, sizes, report):
        print("| keys | deploy | wall s | CPU s | CPU µs a key | peak MB | requests |")
        print("|---|---|---|---|---|---|---|")
        tree, faults, first = Tree(self.scratch), [], {}
        more = {"BITBUCKET_PIPE_STORAGE_DIR": str(self.scratch)} if report else {}
        for size in sizes:
            tree.grow(size)
            self.sink.empty_bucket()
            for deploy, words in (("first", f"uploaded {size},"), ("again", f"unchanged {size} ")):
                result = self.deploy(tree.path, words, more)
                each = result["processor"] / size * 1e6
                requests = sum(result["requests"].values())
                print(
                    f"| {size:,} | {deploy} | {result['wall']:.1f} | {result['processor']:.1f} | {each:.0f} |"
                    f" {result['memory'] / 1e6:.0f} | {requests:,} |",
                    flush=True,
                )
                if result["memory"] > MOST_MEMORY:
                    faults.append(f"{size:,} keys, {deploy}: more than {MOST_MEMORY / 1e6:.0f} MB")
                if each > MOST_GROWTH * first.setdefault(deploy, each):
                    faults.append(f"{size:,} keys, {deploy}: a key takes more than {MOST_GROWTH} times the first's time")
                # What the server has seen of this run ends with it.
                self.sink.control("save?name=load")
                self.sink.control("restore?name=load")
        return faults

    def large(self, gigabytes):
        tree = self.scratch / "large"
        tree.mkdir()
        with (tree / "disk.img").open("wb") as file:
            file.truncate(gigabytes << 30)
        self.sink.empty_bucket()
        self.sink.control("md5?on=0")
        self.sink.control("keep-parts?on=0")
        result = self.deploy(tree, "uploaded 1,")
        parts = result["requests"].get("UploadPart", 0)
        rate = (gigabytes << 30) / result["wall"] / 1e6
        print("| file | wall s | MB/s | CPU s | peak MB | parts | most in flight |")
        print("|---|---|---|---|---|---|---|")
        print(
            f"| {gigabytes} GiB, sparse | {result['wall']:.1f} | {rate:.0f} | {result['processor']:.1f} |"
            f" {result['memory'] / 1e6:.0f} | {parts:,} | {result['most_in_flight']} |",
            flush=True,
        )
        faults = [] if result["memory"] <= MOST_MEMORY else [f"{gigabytes} GiB: more than {MOST_MEMORY / 1e6:.0f} MB"]
        if result["bytes"] < gigabytes << 30:
            faults.append(f"only {result['bytes']:,} bytes came")
        return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sink", required=True)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--keys", default="10000,30000,100000,250000,1000000")
    parser.add_argument("--large", type=int, default=50)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    # The server and a million links are not to outlive an interrupted run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended early"))
    sink = Sink(options.sink)
    try:
        # In memory: a million inodes on a disk would be what is measured.
        with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
            load = Load(options.ours, sink, pathlib.Path(scratch))
            sizes = [int(size) for size in options.keys.split(",") if size]
            faults = load.keys(sizes, options.report) if sizes else []
            if options.large:
                print(flush=True)
                faults += load.large(options.large)
    finally:
        sink.stop()
    print(*faults, sep="\n", file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
