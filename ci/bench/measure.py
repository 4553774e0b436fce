"""In: a limit in seconds, a file for all output, a command. Out: one line of JSON: exit code, seconds, memory.

A process of its own, started as `python3 -I -S`, because Linux passes a parent's peak memory on to its children: the
peak seen here is never below the 9 MiB or so of this interpreter. It imports little for the same reason.
"""

import os
import signal
import sys
import time


def main():
    limit, log, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    redirect = [(os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    over = []

    def end(number, _frame):
        over.append(number)
        os.killpg(child, signal.SIGKILL)

    child = 0
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=redirect, setpgroup=0)
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    signal.setitimer(signal.ITIMER_REAL, limit)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    exit_code = f'"over {limit:.0f} s"' if over else os.waitstatus_to_exitcode(status)
    processor = usage.ru_utime + usage.ru_stime
    print(f'{{"exit": {exit_code}, "wall": {wall}, "processor": {processor}, "memory": {usage.ru_maxrss * 1024}}}')


if __name__ == "__main__":
    main()
