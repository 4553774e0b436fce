"""In: a target server, loads, programs. Out: a markdown table of what each program needs for each load.

Each program deploys to an empty bucket (A, D, E, T) or to one that its own kind deployed A to before (B, C), from a
tree whose times are those of a fresh checkout. After each run the bucket is compared with the tree by key and MD5: a
fast tool that leaves a wrong site is marked, not praised.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

from programs import PROGRAMS, SEEDS, is_slow, versions

HERE = pathlib.Path(__file__).resolve().parent
LIMIT_SECONDS = 400
# Programs this fast are run three times, for a median.
REPEATED_BELOW_SECONDS = 15
# Ours keeps its manifest there: a record about the site, no part of it.
MANIFEST_PREFIX = ".s3-deploy/"


@dataclasses.dataclass(frozen=True)
class Load:
    name: str
    tree: str
    text: str
    latencies: tuple = (0, 20)
    # The bucket holds an older deploy of A.
    redeploys: bool = False
    hashes: bool = True


LOADS = {
    load.name: load
    for load in (
        Load("A", "A", "10,000 new files, 150 MB"),
        Load("B", "A", "the same again, fresh checkout", redeploys=True),
        Load("C", "C", "1 % changed, 1 % deleted", redeploys=True),
        Load("D", "D", "one file of 2 GiB"),
        Load("D-no-md5", "D", "the same, server without MD5", latencies=(0,), hashes=False),
        Load("E", "E", "100,000 files of 1 KiB"),
        Load("T", "T", "20 files", latencies=(20,)),
    )
}
HEADINGS = (
    "load", "latency ms", "tool", "wall s", "CPU s", "RSS MiB", "requests", "connections", "in flight", "server CPU s",
    "others' cores", "correct", "wall / ours",
)
SHORT = {
    "PutObject": "PUT", "HeadObject": "HEAD", "GetObject": "GET", "CopyObject": "COPY", "DeleteObject": "DELETE",
    "DeleteObjects": "DELETE of many", "ListObjects": "LIST", "ListObjectsV2": "LIST", "UploadPart": "part",
    "CreateMultipartUpload": "multipart", "CompleteMultipartUpload": "complete",
}  # fmt: skip


class Sink:
    """The target server; it ends with this process, however that ends."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, method, path):
        request = urllib.request.Request(f"{self.address}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read().decode()

    def control(self, path):
        return self.ask("POST", f"_sink/{path}")

    def empty_bucket(self):
        self.control("reset?bucket=bench")

    def statistics(self):
        return json.loads(self.ask("GET", "_sink/stats"))

    def listing(self):
        return read_listing(self.ask("GET", "_sink/listing?bucket=bench"))


def read_listing(text):
    entries = (line.split("\t") for line in text.splitlines())
    return {key: (md5, size) for key, md5, size in entries if not key.startswith(MANIFEST_PREFIX)}


def verdict(stored, expected):
    """What a visitor of the site would notice."""
    faults = {
        "stale": sum(key in stored and stored[key] != value for key, value in expected.items()),
        "missing": sum(key not in stored for key in expected),
        "not deleted": sum(key not in expected for key in stored),
    }
    return ", ".join(f"{number:,} {fault}" for fault, number in faults.items() if number)


def set_times(tree, seconds):
    """A checkout gives every file the time of the checkout."""
    for directory, _, names in os.walk(tree):
        for name in names:
            os.utime(f"{directory}/{name}", (seconds, seconds))


def read_once(tree):
    """Everyone finds the files in the page cache, not just the second one."""
    for directory, _, names in os.walk(tree):
        for name in names:
            with open(f"{directory}/{name}", "rb") as file:
                while file.read(1 << 20):
                    pass


def busy_seconds():
    """Processor seconds of the whole machine: user, nice, system, interrupts, and what the host took away."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[index]) for index in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")


def take_priority():
    """Puts this process and its children before all others; a scheduler group of its own makes the number count."""
    try:
        os.setsid()
        os.nice(-20)
        pathlib.Path("/proc/self/autogroup").write_text("-20")
    except OSError as error:
        print(f"no priority over other work: {error}", file=sys.stderr)


class Bench:
    def __init__(self, options, sink):
        self.options = options
        self.sink = sink
        self.seeded = set()
        self.ours = {}

    def tree(self, load):
        return self.options.trees / load.tree

    def run(self, program, load):
        log = self.options.scratch / "output.log"
        command, environment = program.start(load.name, self.tree(load), self.sink.address, self.options)
        measure = [sys.executable, "-I", "-S", str(HERE / "measure.py"), str(LIMIT_SECONDS), str(log)]
        busy, served = busy_seconds(), self.sink.processor_seconds()
        process = subprocess.Popen(
            [*measure, *command], env=environment, cwd=self.options.scratch, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            result = json.loads(process.communicate()[0])
        finally:
            process.terminate()
            process.wait()
        result["server"] = self.sink.processor_seconds() - served
        others = busy_seconds() - busy - result["server"] - result["processor"]
        result["others"] = max(0, others / result["wall"])
        if result["exit"] != 0:
            print(f"{program.name} on {load.name}: exit {result['exit']}", file=sys.stderr)
            print(*log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
        return result

    def seed(self, program):
        """Brings the bucket to what this kind of program leaves after A, once, and keeps that state."""
        kind = SEEDS[program.peer]
        if kind.name not in self.seeded:
            set_times(self.options.trees / "A", time.time() - 3600)
            self.sink.control("delay?ms=0")
            self.sink.empty_bucket()
            self.run(kind, LOADS["A"])
            self.sink.control(f"save?name={kind.peer}")
            self.seeded.add(kind.name)
            # Times in a listing have whole seconds: the checkout below is to be later than each of them.
            time.sleep(1.1)
        self.sink.control(f"restore?name={kind.peer}")

    def measure_once(self, program, load, latency):
        if load.redeploys:
            self.seed(program)
            set_times(self.tree(load), time.time())
        else:
            self.sink.empty_bucket()
        self.sink.control(f"md5?on={int(load.hashes)}")
        self.sink.control(f"delay?ms={latency}")
        result = self.run(program, load)
        self.sink.control("delay?ms=0")
        result |= self.sink.statistics()
        expected = read_listing((self.options.trees / f"{load.tree}.listing").read_text())
        result["verdict"] = verdict(self.sink.listing(), expected)
        if result["exit"] != 0:
            result["verdict"] = f"exit {result['exit']}; {result['verdict']}"
        return result

    def measure(self, program, load, latency):
        results = [self.measure_once(program, load, latency)]
        while len(results) < self.options.repeats and results[0]["wall"] < REPEATED_BELOW_SECONDS:
            results.append(self.measure_once(program, load, latency))
        middle = dict(sorted(results, key=lambda result: result["wall"])[len(results) // 2])
        for figure in ("wall", "processor", "memory", "server", "others"):
            middle[figure] = statistics.median(result[figure] for result in results)
        # One wrong run of three is a wrong tool.
        middle["verdict"] = next((result["verdict"] for result in results if result["verdict"]), "")
        middle["runs"] = len(results)
        return middle

    def row(self, program, load, latency):
        result = self.measure(program, load, latency)
        if program.peer == "ours":
            self.ours[load.name, latency] = result["wall"]
        ours = self.ours.get((load.name, latency))
        kinds = {}
        for kind, number in result["requests"].items():
            name = SHORT.get(kind, kind)
            kinds[name] = kinds.get(name, 0) + number
        requests = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items(), key=lambda item: -item[1]))
        # The kernel counts in steps of 10 ms, too coarse for a short run.
        others = f"{result['others']:.1f}" if result["wall"] > 0.5 else "–"
        correct = f"**NO**: {result['verdict']}" if result["verdict"] else "yes"
        if result["open_uploads"]:
            correct += f", {result['open_uploads']} uploads left open"
        return (
            load.name, latency, program.name, f"{result['wall']:.2f}{'' if result['runs'] > 1 else '¹'}",
            f"{result['processor']:.2f}", f"{result['memory'] / 2**20:.0f}", requests, f"{result['connections']:,}",
            f"{result['most_in_flight']:,}", f"{result['server']:.2f}", others, correct,
            f"{result['wall'] / ours:.1f}" if ours else "–",
        )  # fmt: skip

    def rows(self):
        for load in (LOADS[name] for name in self.options.loads):
            read_once(self.tree(load))
            if load.tree == "D":
                self.sink.control("reserve?mib=2304")
            for latency in self.options.latency or load.latencies:
                for program in PROGRAMS:
                    if program.peer not in self.options.peers or load.name not in program.loads:
                        continue
                    if not is_slow(program, load.name, latency, self.options.quick):
                        yield self.row(program, load, latency)


def heading(options):
    cores, kernel = os.cpu_count(), f"{platform.system()} {platform.release()} {platform.machine()}"
    facts = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in facts if line.startswith("model name")), "unknown processor")
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    runs = "one run each" if options.repeats == 1 else "medians of three runs; ¹ of one"
    load = os.getloadavg()[0]
    yield f"Machine: {cores} cores ({model}), {kernel}, load average before {load:.1f}; {today}; {runs}."
    yield f"Versions: {', '.join(versions(options))}."
    yield (
        "The server shares the cores with each tool: its CPU is that of the runs shown, and others' cores is what the"
        " rest of the machine used meanwhile: more than 0.3 makes walls longer."
    )
    yield "Loads: " + "; ".join(f"{name}: {LOADS[name].text}" for name in options.loads) + "."
    yield ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sink", required=True)
    parser.add_argument("--trees", required=True, type=pathlib.Path)
    parser.add_argument("--scratch", required=True, type=pathlib.Path)
    parser.add_argument("--table", required=True, type=pathlib.Path)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--venv", required=True, type=pathlib.Path)
    parser.add_argument("--loads", required=True, type=lambda text: text.split(","))
    parser.add_argument("--peers", required=True, type=lambda text: text.split(","))
    parser.add_argument("--latency", type=lambda text: [int(number) for number in text.split(",") if number])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--priority", action="store_true")
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended early"))
    if options.priority:
        take_priority()
    sink = Sink(options.sink)
    try:
        sys.exit(write_table(Bench(options, sink), options))
    finally:
        sink.stop()


def write_table(bench, options):
    """Shows each row when it is known; the exit code says whether ours left a wrong bucket."""
    wrong = False
    with options.table.open("w") as table:

        def show(line):
            print(line, flush=True)
            table.write(f"{line}\n")

        for line in heading(options):
            show(line)
        show(f"| {' | '.join(HEADINGS)} |")
        show("|" + "---|" * len(HEADINGS))
        for row in bench.rows():
            show(f"| {' | '.join(map(str, row))} |")
            wrong |= row[HEADINGS.index("tool")] == "ours" and row[HEADINGS.index("correct")] != "yes"
    return int(wrong)


if __name__ == "__main__":
    main()
