#!/usr/bin/env python3
"""An OCI runtime that is runc, but never asks for CAP_SYS_RESOURCE.

Stands in for runc where the root of a machine lacks that one capability, and a privileged container would fail.
It gives nothing: a container gets what it asked for, less what nobody on the machine has.
"""

import json
import os
import sys

MISSING = "CAP_SYS_RESOURCE"


def strip(path: str, *, is_process: bool) -> None:
    """Takes the capability out of a bundle's configuration, or of the process that is added to a container."""
    with open(path) as file:
        document = json.load(file)
    process = document if is_process else document.get("process", {})
    for names in (process.get("capabilities") or {}).values():
        names[:] = [name for name in names if name != MISSING]
    with open(path, "w") as file:
        json.dump(document, file)


arguments = sys.argv[1:]
if "create" in arguments and "--bundle" in arguments:
    strip(os.path.join(arguments[arguments.index("--bundle") + 1], "config.json"), is_process=False)
if "exec" in arguments and "--process" in arguments:
    strip(arguments[arguments.index("--process") + 1], is_process=True)
os.execvp("runc", ["runc", *arguments])
