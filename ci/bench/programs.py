"""In: nothing. Out: the programs that are compared, each at its defaults and at the best settings found for each load.

Where a peer has a switch for less output it is given, and its data directory is empty: what is measured is the deploy.
"""

import dataclasses
import importlib.metadata
import subprocess
import typing

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
REDEPLOYS = ("B", "C")
LARGE = ("D", "D-no-md5")
ALL = ("A", *REDEPLOYS, *LARGE, "E", "T")


@dataclasses.dataclass(frozen=True)
class Program:
    peer: str
    setting: str
    loads: tuple
    # (load, tree, address, options) -> (command, variables)
    call: typing.Callable

    @property
    def name(self):
        return f"{self.peer} {self.setting}".strip()

    def start(self, load, tree, address, options):
        command, variables = self.call(load, tree, address, options)
        return [str(part) for part in command], variables


def ours(_load, tree, address, options):
    # DELETE_FLAG is the pipe's way to say that the bucket is to equal the tree, as it has to for C.
    variables = KEYS | {
        "AWS_ENDPOINT_URL": address, "S3_BUCKET": "bench", "LOCAL_PATH": str(tree), "DELETE_FLAG": "true",
    }  # fmt: skip
    return [options.ours], variables


def packages(options):
    return next(options.venv.glob("lib/python3*/site-packages"))


def s5cmd(*arguments):
    def call(_load, tree, address, options):
        command = [packages(options) / "s5cmd/bin/s5cmd", "--log", "error", "--endpoint-url", address]
        return [*command, *arguments, f"{tree}/", "s3://bench/"], KEYS | {"HOME": str(options.scratch)}

    return call


def rclone(*arguments):
    def call(_load, tree, address, options):
        # Over plain http every PUT fails without these two: "unseekable stream is not supported without TLS".
        remote = {"USE_DATA_INTEGRITY_PROTECTIONS": "false", "USE_UNSIGNED_PAYLOAD": "true"}
        remote |= {"TYPE": "s3", "PROVIDER": "AWS", "ENV_AUTH": "true", "REGION": "us-east-1"}
        remote |= {"ENDPOINT": address, "FORCE_PATH_STYLE": "true"}
        variables = {f"RCLONE_CONFIG_SINK_{name}": value for name, value in remote.items()}
        variables |= {"HOME": str(options.scratch), "RCLONE_CONFIG": str(options.scratch / "rclone.conf")}
        return [options.venv / "bin/rclone", "sync", *arguments, tree, "sink:bench"], KEYS | variables

    return call


def aws(*arguments, concurrent=10):
    def call(_load, tree, address, options):
        settings = options.scratch / f"aws-{concurrent}.ini"
        settings.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {concurrent}\n")
        variables = {"HOME": str(options.scratch), "AWS_CONFIG_FILE": str(settings)}
        command = [options.venv / "bin/python", options.venv / "bin/aws", "--endpoint-url", address, "s3", "sync"]
        return [*command, tree, "s3://bench", "--delete", "--only-show-errors", *arguments], KEYS | variables

    return call


RCLONE_TUNED = ("--checksum", "--fast-list", "--transfers", "64", "--checkers", "64", "--s3-no-head")
PROGRAMS = (
    Program("ours", "", ALL, ours),
    Program("s5cmd", "sync", ("A", *REDEPLOYS, "E", "T"), s5cmd("sync", "--delete")),
    # Copies whatever is there: no listing, no comparing, no deleting.
    Program("s5cmd", "cp", ("A", *LARGE, "E", "T"), s5cmd("cp")),
    Program("s5cmd", "sync --size-only", REDEPLOYS, s5cmd("sync", "--delete", "--size-only")),
    Program("rclone", "default", ALL, rclone()),
    Program("rclone", "tuned", ("A", *REDEPLOYS, "E", "T"), rclone(*RCLONE_TUNED)),
    Program("rclone", "tuned", LARGE, rclone("--checksum", "--s3-upload-concurrency", "16")),
    # Without the MD5 of the whole file, which rclone computes before the first byte is sent.
    Program(
        "rclone", "tuned, no whole MD5", LARGE,
        rclone("--s3-disable-checksum", "--s3-upload-concurrency", "16", "--s3-chunk-size", "16M", "--s3-no-head"),
    ),
    Program("aws", "default", ALL, aws()),
    Program("aws", "64 at once", ("A",), aws(concurrent=64)),
    Program("aws", "--size-only", REDEPLOYS, aws("--size-only")),
)  # fmt: skip

# Who deploys A before a redeploy is measured: only rclone and ours leave anything of their own in the bucket.
SEEDS = {
    "ours": PROGRAMS[0],
    "s5cmd": next(program for program in PROGRAMS if program.name == "s5cmd cp"),
    "rclone": next(program for program in PROGRAMS if program.name == "rclone tuned"),
    "aws": next(program for program in PROGRAMS if program.name == "s5cmd cp"),
}

# Hours for nothing: their time follows from the number of requests one after the other.
ENDLESS = {("rclone default", "E", 20), ("aws default", "E", 20)}
OVER_A_MINUTE = {
    ("rclone default", "A", 20), ("rclone default", "B", 20), ("rclone default", "C", 20),
    ("aws default", "E", 0), ("s5cmd sync", "E", 0), ("s5cmd sync", "E", 20),
}  # fmt: skip


def is_slow(program, load, latency, quick):
    case = (program.name, load, latency)
    return case in ENDLESS or (quick and case in OVER_A_MINUTE)


def versions(options):
    yield "ours " + (first_line([options.ours, "--version"]) or "of this commit")
    if "s5cmd" in options.peers:
        yield "s5cmd " + first_line([packages(options) / "s5cmd/bin/s5cmd", "version"])
    if "rclone" in options.peers:
        yield first_line([options.venv / "bin/rclone", "--version"])
    if "aws" in options.peers:
        found = importlib.metadata.distributions(path=[str(packages(options))])
        yield "aws-cli " + next(package.version for package in found if package.name == "awscli")


def first_line(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={}, check=False)
    return (done.stdout if done.returncode == 0 else "").partition("\n")[0].strip()
