"""The commands behind `make`: execute the chapters, confirm the ledger, build the site.

Nothing that is stale survives: the site is made from nothing in a folder of its own and
takes its place when it is whole. A site that fails leaves none.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from visiontrial import execute, files, ledger, pairs, paths
from visiontrial.execute import at

COMMITTED_LEDGER = paths.BOOK / "ledger.csv"
ARCHIVE = paths.BUILD / "vision-reproduced.zip"
LINES_SHOWN = 20
# The oldest time a zip can hold: the archive depends on the site alone, not on when it was packed.
EPOCH = (1980, 1, 1, 0, 0, 0)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class BuildError(RuntimeError):
    """The book cannot be built; the message says why and what to do."""


def book(root: Path = paths.ROOT) -> None:
    """Execute, confirm, build; print the scoreboard and the path of the first page.

    Raises `PairError`, `ExecutionError`, `LedgerError` or `BuildError`, with a message
    ready to print, at the first step that fails.
    """
    started = time.perf_counter()
    accounts = account(root)
    confirm_ledger(at(paths.LEDGER, root), at(COMMITTED_LEDGER, root))
    say("Building the site")
    first_page = site(root)
    archive(first_page.parent, at(ARCHIVE, root))
    say(f"\n{ledger.scoreboard(accounts).text()}\n")
    say(f"The book is built, in {time.perf_counter() - started:.0f} s. Its first page: {first_page}")


def accept_ledger(root: Path = paths.ROOT) -> None:
    """Execute what changed and take the ledger that results as the committed copy, for a reviewer to read."""
    account(root)
    committed = at(COMMITTED_LEDGER, root)
    files.write_bytes(committed, at(paths.LEDGER, root).read_bytes())
    say(f"Accepted into {committed.relative_to(root)}: read it with git diff before you commit it.")


def account(root: Path = paths.ROOT):
    """Execute the chapters that changed and return the ledger they add up to."""
    pairs.check(at(paths.NOTEBOOKS, root))
    say("Executing the chapters")
    execute.all(say, root)
    return ledger.assemble(at(paths.LEDGER_PARTS, root), at(paths.LEDGER, root))


def confirm_ledger(new: Path, committed: Path) -> None:
    """Raise `BuildError` with the lines that differ when the ledger is not the committed one."""
    ours = new.read_text(encoding="utf-8").splitlines()
    theirs = committed.read_text(encoding="utf-8").splitlines() if committed.exists() else []
    if ours == theirs:
        return
    compared = difflib.unified_diff(theirs, ours, n=0, lineterm="")
    changes = [line for line in compared if not line.startswith(("--- ", "+++ ", "@@"))]
    shown = [f"  {line}" for line in changes[:LINES_SHOWN]]
    if len(changes) > LINES_SHOWN:
        shown.append(f"  and {len(changes) - LINES_SHOWN} lines more")
    raise BuildError(
        f"the ledger is not the committed {committed.parent.name}/{committed.name} (- committed, + now):\n"
        + "\n".join(shown)
        + "\nIf the change is meant, accept it with: make ledger"
    )


def site(root: Path = paths.ROOT) -> Path:
    """Build every page from nothing into `_build/html/` and return the path of the first one.

    Raises `BuildError` with what Sphinx said on any warning; then there is no site.
    """
    target = at(paths.HTML, root)
    if target.exists():
        shutil.rmtree(target)
    at(ARCHIVE, root).unlink(missing_ok=True)
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".site-") as folder:
        _sphinx(root, Path(folder))
        (Path(folder) / "_build" / "html").rename(target)
    return target / "index.html"


def archive(folder: Path, target: Path) -> None:
    """Pack the site into one zip whose bytes depend on the site alone."""
    pages = sorted(path for path in folder.rglob("*") if path.is_file())
    draft = target.with_name(f".{target.name}.tmp")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as bundle:
        for page in pages:
            entry = zipfile.ZipInfo(f"{target.stem}/{page.relative_to(folder).as_posix()}", EPOCH)
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, page.read_bytes(), zipfile.ZIP_DEFLATED)
    draft.replace(target)


def say(line: str) -> None:
    """Print at once: whoever waits sees how far it is, in a pipe as well."""
    print(line, flush=True)


def _sphinx(root: Path, output: Path) -> None:
    program = Path(sys.executable).with_name("jupyter-book")
    strictly = ("--all", "-W", "-n", "--keep-going", "-q")
    done = subprocess.run(
        [program, "build", root, "--path-output", output, *strictly],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONHASHSEED": "0"},  # sets are then ordered alike in every build
    )
    if done.returncode:
        log = output.parent / "site.log"
        files.write_text(log, done.stdout + done.stderr)
        said = "".join(f"  {line}\n" for line in _said(done.stderr, root))
        raise BuildError(f"the site was not built:\n{said}  All that Sphinx said: {log.relative_to(root)}")


def _said(errors: str, root: Path) -> list[str]:
    """The warnings and errors of a failed build: what stands before the traceback that follows them."""
    plain = _COLOUR.sub("", errors).replace(f"{root}/", "")
    before, _, _ = plain.partition("Traceback (most recent call last):")
    return [line for line in (before.strip() or plain).splitlines() if line.strip()]
