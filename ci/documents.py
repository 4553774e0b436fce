#!/usr/bin/env python3
"""Holds metadata and examples in step with each other: run by ci/check.sh with the Python of ci/tools.sh.

pipe.yml against ci/pipe.schema.json; its names against the folder; versions against Cargo.toml; the changelog; and every
pipeline in a README, and our own, against Bitbucket's schema. What the code knows is compared by the tests of each pipe.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

from ruamel.yaml import YAML

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS = pathlib.Path(sys.executable).parent


def main() -> int:
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    pipes = sorted(path.parent for path in ROOT.glob("pipes/*/pipe.yml"))
    faults = [fault for pipe in pipes for fault in of_pipe(pipe, version)]
    faults += changelog(pipes, version)
    faults += schema(["--schemafile", str(ROOT / "ci/pipe.schema.json")], [pipe / "pipe.yml" for pipe in pipes])
    with tempfile.TemporaryDirectory() as folder:
        examples = pipelines(pathlib.Path(folder), [ROOT / "README.md", *(pipe / "README.md" for pipe in pipes)])
        faults += schema(["--builtin-schema", "vendor.bitbucket-pipelines"], [ROOT / "bitbucket-pipelines.yml", *examples])
        count = len(examples)
    print(*faults or [f"{len(pipes)} pipes, {count} examples of pipelines"], sep="\n")
    return 1 if faults else 0


def of_pipe(pipe: pathlib.Path, version: str) -> list[str]:
    """The faults of one pipe's files, compared with its folder's name."""
    document = YAML(typ="safe").load(pipe / "pipe.yml")
    readme = (pipe / "README.md").read_text()
    wanted = {
        "image": f"keylesspipes/{pipe.name}:{version}",
        "repository": f"https://bitbucket.org/keylesspipes/{pipe.name}",
        "icon": f"https://bitbucket.org/keylesspipes/{pipe.name}/raw/{version}/icon.svg",
    }
    faults = [f"{pipe.name}/pipe.yml: {name} is {document.get(name)}, not {value}" for name, value in wanted.items() if document.get(name) != value]
    faults += [
        f"{pipe.name}/pipe.yml: the default of {each['name']} is {each['default']}"
        for each in document["variables"]
        if each["default"] != f"${each['name']}"
    ]
    for file in ("icon.svg", "Cargo.toml"):
        if not (pipe / file).is_file():
            faults.append(f"{pipe.name} has no {file}")
    if not readme.startswith(f"# {pipe.name}\n"):
        faults.append(f"{pipe.name}/README.md has another title")
    # Both kinds of reference, since only the first takes defaults from pipe.yml.
    for reference in (f"- pipe: keylesspipes/{pipe.name}:{version}", f"- pipe: docker://keylesspipes/{pipe.name}:{version}"):
        if reference not in readme:
            faults.append(f"{pipe.name}/README.md has no example of `{reference}`")
    other = set(re.findall(rf"keylesspipes/{pipe.name}:([0-9][\w.]*)", readme)) - {version}
    return faults + [f"{pipe.name}/README.md names version {each}" for each in sorted(other)]


def changelog(pipes: list[pathlib.Path], version: str) -> list[str]:
    """The head is what comes next or what is released, and every pipe is spoken of."""
    text = (ROOT / "CHANGELOG.md").read_text()
    head = re.search(r"^## (.*)$", text, re.MULTILINE)[1]
    faults = [] if head in ("Unreleased", version) else [f"CHANGELOG.md begins with {head}, not Unreleased or {version}"]
    return faults + [f"CHANGELOG.md says nothing of {pipe.name}" for pipe in pipes if f"\n- {pipe.name}: " not in text]


def pipelines(folder: pathlib.Path, readmes: list[pathlib.Path]) -> list[pathlib.Path]:
    """Every example with a pipe as a pipeline file of its own; a fragment is put where it belongs."""
    written = []
    for readme in readmes:
        for block in re.findall(r"^```yaml\n(.*?)^```", readme.read_text(), re.DOTALL | re.MULTILINE):
            if "pipe:" not in block:
                continue
            document = YAML(typ="safe").load(block)
            if isinstance(document, list):
                if "pipe" in document[0]:
                    document = [{"step": {"script": document}}]
                document = {"pipelines": {"default": document}}
            path = folder / f"{readme.parent.name}-{len(written)}.json"
            path.write_text(json.dumps(document))
            written.append(path)
    return written


def schema(which: list[str], files: list[pathlib.Path]) -> list[str]:
    done = subprocess.run([TOOLS / "check-jsonschema", "--quiet", *which, *map(str, files)], capture_output=True, text=True)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


if __name__ == "__main__":
    sys.exit(main())
