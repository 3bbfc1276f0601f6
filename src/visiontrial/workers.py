"""Independent tasks side by side: on this machine's cores, or on a Dask cluster.

Results come as they are finished, each once. A task must be a pure function of what it is
given: then order, number of workers and lost machines change nothing but the time.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

Task = Callable[[], Any]

_LIMITS_OF_THREADS = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMBA_NUM")
ONE_THREAD = {f"{limit}_THREADS": "1" for limit in _LIMITS_OF_THREADS}
"""Environment in which a process computes on one thread: tasks run side by side, not their sums."""

SECONDS_TO_CONNECT = 30
LOST_WORKERS = 10
"""How often one task may lose its worker before the task itself is suspected."""

SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_LOOKS = 1.0


class WorkersError(RuntimeError):
    """The tasks cannot be run, or no longer; the message says what to do."""


def one_thread_each() -> None:
    """Let this process and those it starts compute on one thread. To be called before NumPy is imported."""
    os.environ.update(ONE_THREAD)


def unordered(
    tasks: Iterable[tuple[Any, Task]], workers: int | None = None, scheduler: str | None = None
) -> Iterator[tuple[Any, Any]]:
    """Run labelled tasks and give each label with its result, in the order in which they finish.

    `workers` is the number of local processes (default: one per core); `scheduler` the address of a
    Dask scheduler, whose workers then do the work. Raises `WorkersError`; what a task raises is
    raised here.
    """
    if scheduler is None:
        return _here(tasks, workers)
    return _on_dask(tasks, scheduler)


def _labelled(label: Any, task: Task) -> tuple[Any, Any]:
    return label, task()


def _here(tasks: Iterable[tuple[Any, Task]], workers: int | None) -> Iterator[tuple[Any, Any]]:
    # One task at a time per worker: what a killed run loses is what is in hand, not a batch.
    with joblib.parallel_config(
        backend="loky", inner_max_num_threads=1, initializer=_end_with, initargs=(os.getpid(),)
    ):
        pool = joblib.Parallel(
            n_jobs=workers or joblib.cpu_count(), return_as="generator_unordered", batch_size=1
        )
        try:
            yield from pool(joblib.delayed(_labelled)(label, task) for label, task in tasks)
        except BrokenProcessPool as error:
            raise WorkersError(
                f"A worker process was killed, for want of memory perhaps ({error}). "
                "What is finished is kept: run the command again, with fewer workers if need be."
            ) from error


def _end_with(parent: int) -> None:
    """Let this process end soon after its parent, even one that was killed and could not say so."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)  # nobody is left to whom an orderly end would matter


def _on_dask(tasks: Iterable[tuple[Any, Task]], address: str) -> Iterator[tuple[Any, Any]]:
    from distributed import as_completed

    with _client(address) as client:
        # Everything a task needs travels with it: data placed on a worker would die with that worker.
        futures = [
            client.submit(_labelled, label, task, pure=False, retries=LOST_WORKERS) for label, task in tasks
        ]
        for future in as_completed(futures, loop=client.loop):
            yield future.result()
            future.release()


def _client(address: str) -> Any:
    from distributed import Client

    try:
        client = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError, TimeoutError) as error:
        raise WorkersError(
            f"No Dask scheduler with workers answers at {address} ({error}). Start one with "
            "`dask scheduler` and `dask worker ADDRESS`, and give the address it prints, such as tcp://host:8786."
        ) from error
    return client


class Progress(tqdm):
    """A progress bar with the time left on a terminal; elsewhere a line now and then."""

    def __init__(self, what: str, total: int, unit: str, done: int = 0, stream: TextIO | None = None):
        stream = stream or sys.stderr
        at_terminal = stream.isatty()
        super().__init__(
            desc=what, total=total, initial=done, unit=f" {unit}", dynamic_ncols=at_terminal,
            file=stream if at_terminal else _Lines(stream),
            mininterval=0.1 if at_terminal else SECONDS_BETWEEN_LINES,
            bar_format="{desc}: {bar:20} {n_fmt} of {total_fmt}{unit}, {elapsed} gone, {remaining} left",
        )  # fmt: skip


class _Lines:
    """A stream in which each state of a progress bar is a line of its own, for logs."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line and line != self._last:
            self._stream.write(f"{line}\n")
            self._last = line

    def flush(self) -> None:
        self._stream.flush()
