"""ministack with the CRCs of AWS's own library: its tables in Python take a quarter of a second of its only thread for each
MiB, in which it answers nobody, so that a file in parts let other tests run into their deadlines. And with ECS services that
look at their tasks again where another thread has added one in the meantime, instead of a 500 for whoever called."""

import functools
import runpy
import sys

from awscrt import checksums

# The directory of this file, in which nothing is to be found.
del sys.path[0]

from ministack.services import ecs, s3  # noqa: E402

for name in ("crc64nvme", "crc32c"):
    slow, fast = getattr(s3, f"_{name}"), getattr(checksums, name)
    if slow(b"123456789") != fast(b"123456789"):
        sys.exit(f"ministack's {name} is another one than that of AWS")
    setattr(s3, f"_{name}", fast)


def steady(function, tries=5):
    @functools.wraps(function)
    def again(*arguments):
        for _ in range(tries - 1):
            try:
                return function(*arguments)
            except RuntimeError as error:
                if "changed size during iteration" not in str(error):
                    raise
        return function(*arguments)

    return again


ecs._reconcile_service_tasks = steady(ecs._reconcile_service_tasks)
runpy.run_module("ministack", run_name="__main__", alter_sys=True)
