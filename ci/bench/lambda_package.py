"""In: a tree, our binary. Out: a markdown table of what it takes to pack the tree with it, with zip and with zipfile.

Each archive is compared with the tree by name and content: a fast packer that loses a file is marked, not praised. The
programs take turns, so that whatever else the machine does falls on all of them.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
LIMIT_SECONDS = 300
ZIPFILE = """
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
    for directory, _, names in os.walk("."):
        for name in names:
            archive.write(os.path.join(directory, name))
"""


def digests(tree):
    """What the archive has to hold: path and SHA-256."""
    files = (path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def unpacked(archive):
    with zipfile.ZipFile(archive) as opened:
        entries = (entry for entry in opened.infolist() if not entry.is_dir())
        return {entry.filename: hashlib.sha256(opened.read(entry)).hexdigest() for entry in entries}


def measure(command, tree, environment):
    log = tree.parent / "output.log"
    runner = [sys.executable, "-I", "-S", str(HERE / "measure.py"), str(LIMIT_SECONDS), str(log), *command]
    output = subprocess.run(runner, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True).stdout
    result = json.loads(output)
    if result["exit"] != 0:
        sys.exit(f"{command[0]}: exit {result['exit']}\n{log.read_text()}")
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--home", type=pathlib.Path, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--table", type=pathlib.Path, required=True)
    options = parser.parse_args()
    tree = options.home / "tree"
    archive = options.home / "archive.zip"
    path = os.environ["PATH"]
    ours = {"PATH": path, "COMMAND": "package", "ZIP_FILE": ".", "PACKAGE_FILE": str(archive)}
    programs = {
        "lambda-deploy": ([str(options.binary)], ours),
        "zip -r -6": (["zip", "-q", "-r", "-6", str(archive), "."], {"PATH": path}),
        "Python zipfile": ([sys.executable, "-I", "-c", ZIPFILE, str(archive)], {"PATH": path}),
    }
    # Everyone finds the files in the page cache, not just the second one.
    expected = digests(tree)
    runs = {name: [] for name in programs}
    verdicts, sizes, sums = {}, {}, set()
    for _ in range(options.repeats):
        for name, (command, environment) in programs.items():
            archive.unlink(missing_ok=True)
            runs[name].append(measure(command, tree, environment))
            sizes[name] = archive.stat().st_size
            if name == "lambda-deploy":
                sums.add(hashlib.sha256(archive.read_bytes()).hexdigest())
            if name not in verdicts:
                verdicts[name] = "yes" if unpacked(archive) == expected else "**no**"
    archive.unlink()
    median = {
        name: {key: statistics.median(run[key] for run in of) for key in ("wall", "processor", "memory")}
        for name, of in runs.items()
    }
    base = median["lambda-deploy"]
    total = sum((tree / name).stat().st_size for name in expected)
    lines = [
        f"{len(expected):,} files, {total / 1e6:.1f} MB, {os.cpu_count()} cores, median of {options.repeats} runs in turn",
        "",
        "| program | wall s | CPU s | RSS MiB | size MB | whole | wall / ours | CPU / ours | size / ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, each in median.items():
        lines.append(
            f"| {name} | {each['wall']:.2f} | {each['processor']:.2f} | {each['memory'] / 2**20:.0f} "
            f"| {sizes[name] / 1e6:.2f} | {verdicts[name]} | {each['wall'] / base['wall']:.2f} "
            f"| {each['processor'] / base['processor']:.2f} | {sizes[name] / sizes['lambda-deploy']:.3f} |"
        )
    lines += ["", f"SHA-256 of our archives: {', '.join(sorted(sums))}"]
    text = "\n".join(lines)
    print(text)
    options.table.write_text(text + "\n")
    if len(sums) != 1:
        sys.exit("our archives of the same tree differ")


if __name__ == "__main__":
    main()
