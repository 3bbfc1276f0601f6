"""Execute each chapter once, with papermill; an unchanged chapter is not executed again.

Beside an executed notebook lies a small record (`NN-name.key`) of what it was made from
and of what was made. The notebook is taken as it is only while the record still holds:
the chapter, the package, the data, the lock and Python are the same, and nobody has
touched what the run wrote.

What is kept is what the run computed and nothing about the machine: no times, no paths.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from visiontrial import files, paths

# What a chapter can read, besides itself: a change in any of it executes every chapter again.
INPUTS = ("src/visiontrial", "data", "requirements.txt")
SECONDS_PER_CELL = 900
WORKERS = 4


class ExecutionError(RuntimeError):
    """A chapter cannot be executed, or a cell of it failed; the message names chapter, cell and error."""


def chapters(root: Path = paths.ROOT) -> list[str]:
    """The chapters in the order of the book: the entries of `_toc.yml` that lie in `notebooks/`."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    folder = f"{paths.NOTEBOOKS.name}/"
    return [entry.removeprefix(folder) for entry in _entries(toc) if entry.startswith(folder)]


def all(progress: Callable[[str], None] = print, root: Path = paths.ROOT) -> None:
    """Execute every chapter that is not current, several at a time; report each in the book's order.

    What earlier books wrote for chapters that are gone is removed. Raises `ExecutionError`
    when any chapter fails, after the others have had their turn.
    """
    names = chapters(root)
    _forget_others(names, root)
    due = [name for name in names if not is_current(name, root)]
    width = max(map(len, names), default=0)
    failures = []
    with _pool(len(due)) as pool:
        runs = {name: pool.submit(_timed_run, name, root) for name in due}
        for number, name in enumerate(names, start=1):
            try:
                outcome = f"executed in {runs[name].result():.1f} s" if name in runs else "unchanged"
            except ExecutionError as error:
                outcome = "FAILED"
                failures.append(str(error))
            progress(f"  [{number}/{len(names)}] {name:<{width}}  {outcome}")
    if failures:
        raise ExecutionError("\n".join(failures))


def run(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    output: Path | None = None,
    *,
    root: Path = paths.ROOT,
) -> Path:
    """Execute one chapter and return the path of the executed notebook.

    Without `parameters` and `output` the result is the page of the book, under
    `_build/executed/notebooks/`, with its record. With parameters an `output` must be
    named: such a run never becomes the page.

    Raises `ExecutionError` when there is no such chapter or when a cell fails or warns; the
    notebook as far as it came is then kept in `_build/executed/failed/`.
    """
    if name not in chapters(root):
        raise ExecutionError(f"there is no chapter {name!r}; _toc.yml has: {', '.join(chapters(root))}")
    if parameters is not None and output is None:
        raise ValueError("name an output: a run with parameters of its own is not the book's page")
    if output is not None:
        return _execute(name, parameters, output, root)
    record = _record(name, root)
    record.unlink(missing_ok=True)
    _ledger_part(name, root).unlink(missing_ok=True)
    before = key(name, root)
    page = _execute(name, None, _page(name, root), root)
    # Last of all: a run that was interrupted leaves no record and is done again.
    files.write_text(record, json.dumps({"key": before, **_made(name, root)}, indent=1) + "\n")
    return page


def is_current(name: str, root: Path = paths.ROOT) -> bool:
    """Whether the executed chapter may be used as it is: same inputs, and its results untouched."""
    try:
        recorded = json.loads(_record(name, root).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return recorded == {"key": key(name, root), **_made(name, root)}


def key(name: str, root: Path = paths.ROOT) -> str:
    """SHA-256 over everything a chapter is made from: notebook, package, data, lock and Python version."""
    digest = hashlib.sha256(sys.version.split()[0].encode())
    inputs = [_source(name, root), *(path for place in INPUTS for path in _files(root / place))]
    for path in inputs:
        content = path.read_bytes()
        # Name and length, so that bytes cannot move from one file to the next unnoticed.
        digest.update(f"\n{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def cleaned(notebook, root: Path = paths.ROOT):
    """The notebook without times, machine paths, random ids and Python's patch level, in place."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        if cell.cell_type == "code":
            cell.outputs = [_without_paths(output, root) for output in _joined(cell.outputs)]
    return notebook


def at(path: Path, root: Path) -> Path:
    """The place in the checkout at `root` that corresponds to one of `paths`."""
    return root / path.relative_to(paths.ROOT)


# --- one execution ----------------------------------------------------------------------


def _execute(name: str, parameters: Mapping[str, Any] | None, output: Path, root: Path) -> Path:
    import nbformat  # here and below: the light commands need none of this
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    source = _source(name, root)
    failed = at(paths.EXECUTED, root).parent / "failed" / f"{name}.ipynb"
    with tempfile.TemporaryDirectory(prefix="visiontrial-") as folder:
        draft = Path(folder) / f"{name}.ipynb"
        try:
            with _kernel_environment(folder):
                papermill.execute_notebook(
                    source,
                    draft,
                    parameters=dict(parameters or {}),
                    kernel_name="python3",
                    cwd=source.parent,
                    progress_bar=False,
                    execution_timeout=SECONDS_PER_CELL,
                    iopub_timeout=SECONDS_PER_CELL,  # a busy machine may send a cell's output late
                    extra_arguments=["--log-level=CRITICAL"],  # its remarks on being stopped help nobody
                )
        except (papermill.PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            if draft.exists():
                files.write_bytes(failed, draft.read_bytes())
            raise ExecutionError(_failure(name, error, failed.relative_to(root))) from error
        notebook = cleaned(nbformat.read(draft, as_version=4), root)
        if said := _said_on_the_side(notebook):
            files.write_text(failed, nbformat.writes(notebook) + "\n")
            raise ExecutionError(
                f"chapter {name} {said}\n  the notebook: {failed.relative_to(root).as_posix()}"
            )
    files.write_text(output, nbformat.writes(notebook) + "\n")
    failed.unlink(missing_ok=True)
    return output


@contextlib.contextmanager
def _kernel_environment(scratch: str) -> Iterator[None]:
    """Let the kernel be this environment's, and a run not depend on who runs it.

    A kernel called python3 in somebody's home would otherwise be taken, their IPython
    start-up files would run, and sets would be ordered differently every time.
    """
    ours = {
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "IPYTHONDIR": str(Path(scratch) / "ipython"),
        "PYTHONHASHSEED": "0",
    }
    theirs = {variable: os.environ.get(variable) for variable in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for variable, value in theirs.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


def _failure(name: str, error: Exception, kept: Path) -> str:
    """What a failed chapter says: chapter, cell, its first line, the error, where to read on."""
    if not hasattr(error, "ename"):
        return f"chapter {name}: {type(error).__name__}: {error}\n  as far as it came: {kept}"
    line = next((line for line in error.source.splitlines() if line.strip()), "")
    return (
        f"chapter {name}, cell [{error.exec_count}]: {error.ename}: {error.evalue}\n"
        f"  the cell begins: {line.strip()}\n"
        f"  the notebook as far as it came: {kept.as_posix()}"
    )


def _said_on_the_side(notebook) -> str | None:
    """What a cell wrote to stderr, if any: a warning is mended, not published."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                return f"wrote to stderr, cell [{cell.execution_count}]: {output.text.strip()}"
    return None


def _joined(outputs: list) -> list:
    """Outputs with neighbouring pieces of one stream joined: where they are cut is a matter of timing."""
    joined: list = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.get("name") is not None:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _without_paths(part: Any, root: Path) -> Any:
    """The same structure with this machine's folders replaced in every text of it."""
    if isinstance(part, str):
        return _relative(part, root)
    if isinstance(part, list):
        return [_without_paths(item, root) for item in part]
    if isinstance(part, dict):
        return type(part)({field: _without_paths(value, root) for field, value in part.items()})
    return part


def _relative(text: str, root: Path) -> str:
    for place, shown in ((root, ""), (Path(sys.prefix), "environment/"), (Path.home(), "~/")):
        # Only whole paths: not the same letters inside an address or a longer name.
        folder = rf"(?<![\w./-]){re.escape(str(place))}"
        text = re.sub(rf"{folder}/", shown, text)
        text = re.sub(rf"{folder}(?![\w.-])", shown.rstrip("/") or ".", text)
    return text


# --- several executions -------------------------------------------------------------------


def _pool(tasks: int) -> ProcessPoolExecutor:
    """Processes, because each sets its own environment for its kernel; as many as there are processors."""
    workers = max(1, min(tasks, os.cpu_count() or 1, WORKERS))
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _timed_run(name: str, root: Path) -> float:
    started = time.perf_counter()
    run(name, root=root)
    return time.perf_counter() - started


def _forget_others(names: list[str], root: Path) -> None:
    """Remove what was written for chapters that the book no longer has."""
    executed = at(paths.EXECUTED, root)
    places = (executed, executed.parent / "failed", at(paths.LEDGER_PARTS, root))
    for path in (path for place in places for path in place.glob("[0-9]*.*")):
        if path.stem not in names:
            path.unlink()


# --- where things are -----------------------------------------------------------------------


def _source(name: str, root: Path) -> Path:
    path = at(paths.NOTEBOOKS, root) / f"{name}.ipynb"
    if not path.exists():
        raise ExecutionError(f"chapter {name}: {path} is missing; write its text, then run: make pairs")
    return path


def _page(name: str, root: Path) -> Path:
    return at(paths.EXECUTED, root) / f"{name}.ipynb"


def _record(name: str, root: Path) -> Path:
    return _page(name, root).with_suffix(".key")


def _ledger_part(name: str, root: Path) -> Path:
    return at(paths.LEDGER_PARTS, root) / f"{name}.csv"


def _made(name: str, root: Path) -> dict[str, str | None]:
    """What a run wrote, by checksum; `None` for a chapter that has no part in the ledger."""
    return {"page": _checksum(_page(name, root)), "ledger": _checksum(_ledger_part(name, root))}


def _checksum(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _files(place: Path) -> list[Path]:
    """The files of a folder, or the file itself; without what Python and desktops leave behind."""
    if place.is_file():
        return [place]
    found = (path for path in place.rglob("*") if path.is_file())
    return sorted(p for p in found if "__pycache__" not in p.parts and not p.name.startswith("."))


def _entries(node: Any) -> Iterator[str]:
    """Every document that a table of contents names, in its order."""
    if isinstance(node, list):
        for item in node:
            yield from _entries(item)
    elif isinstance(node, dict):
        for field, value in node.items():
            if field in ("root", "file"):
                yield value
            else:
                yield from _entries(value)
