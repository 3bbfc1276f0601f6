"""Workers end with the process they work for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from visiontrial import workers

PROGRAM = """
import functools, os, time
from pathlib import Path
from visiontrial import workers

def linger(name):
    Path(name).write_text(str(os.getpid()))
    time.sleep(120)

list(workers.unordered([(n, functools.partial(linger, f"pid-{n}")) for n in range(2)], workers=2))
"""


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def test_workers_of_a_killed_process_do_not_live_on(tmp_path):
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=tmp_path)
    try:
        files = [tmp_path / "pid-0", tmp_path / "pid-1"]
        assert until(lambda: all(f.exists() and f.read_text() for f in files), 60)
        pids = [int(f.read_text()) for f in files]
        assert all(map(lives, pids))
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
    # The task itself would go on for two minutes, and the worker would wait for another five.
    assert until(lambda: not any(map(lives, pids)), 10 * workers.SECONDS_BETWEEN_LOOKS)
