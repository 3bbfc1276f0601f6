"""The commands: their order, their failures, their messages, and that nothing stale survives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from visiontrial import __main__ as command
from visiontrial import build, ledger, paths, published
from visiontrial.execute import ExecutionError
from visiontrial.pairs import PairError


@pytest.fixture
def book(project):
    """A project of prose pages alone."""
    config = 'title: Small\nonly_build_toc_files: true\nexecute: {execute_notebooks: "off"}\n'
    project.write("_config.yml", config)
    project.write("_toc.yml", "format: jb-book\nroot: index\nchapters:\n- file: page\n")
    project.write("index.md", "# Small\n")
    project.write("page.md", "# Page\n")
    return project


@pytest.mark.slow
def test_a_site_is_built_from_nothing_each_time(book):
    stale = book.write("_build/html/removed.html", "old")
    first_page = build.site(book.root)
    assert first_page == book.root / "_build/html/index.html"
    assert first_page.exists()
    assert not stale.exists()
    assert sorted(path.name for path in (book.root / "_build").iterdir()) == ["html"]


@pytest.mark.slow
def test_a_warning_fails_the_build_and_leaves_no_site(book):
    book.write("_build/html/index.html", "the site of yesterday")
    book.write("_build/vision-reproduced.zip", "the site of yesterday")
    book.write("page.md", "# Page\n\n[nowhere](missing.md)\n\n{ref}`missing`\n")
    with pytest.raises(build.BuildError) as failure:
        build.site(book.root)
    assert len(re.findall(r"page\.md:\d+: WARNING", str(failure.value))) == 2
    assert "\x1b" not in str(failure.value)
    assert [path.name for path in (book.root / "_build").iterdir()] == ["site.log"]


@pytest.mark.slow
def test_an_error_of_the_configuration_is_shown(book):
    book.write("_config.yml", "title: Small\nsphinx: {extra_extensions: [visiontrial.nowhere]}\n")
    with pytest.raises(build.BuildError, match=r"Could not import extension visiontrial\.nowhere"):
        build.site(book.root)


def test_the_archive_depends_on_the_pages_alone(tmp_path):
    folder = tmp_path / "html"
    folder.mkdir()
    (folder / "b.html").write_text("b")
    (folder / "a.html").write_text("a")
    target = tmp_path / "site.zip"
    build.archive(folder, target)
    first = target.read_bytes()
    os.utime(folder / "a.html", (0, 0))
    build.archive(folder, target)
    assert target.read_bytes() == first
    with zipfile.ZipFile(target) as bundle:
        assert bundle.namelist() == ["site/a.html", "site/b.html"]
        assert bundle.testzip() is None


def test_a_changed_ledger_shows_its_lines_and_how_to_accept_it(tmp_path):
    committed, new = tmp_path / "book" / "ledger.csv", tmp_path / "ledger.csv"
    committed.parent.mkdir()
    committed.write_text("claim_id\nos.hr,0.62\n")
    new.write_text("claim_id\nos.hr,0.63\n")
    with pytest.raises(build.BuildError) as failure:
        build.confirm_ledger(new, committed)
    assert str(failure.value).splitlines()[1:] == [
        "  -os.hr,0.62",
        "  +os.hr,0.63",
        "If the change is meant, accept it with: make ledger",
    ]


def test_a_long_change_is_cut(tmp_path):
    new = tmp_path / "ledger.csv"
    new.write_text("row\n" * 100)
    with pytest.raises(build.BuildError, match="and 80 lines more"):
        build.confirm_ledger(new, tmp_path / "missing.csv")


def test_an_unchanged_ledger_is_confirmed(tmp_path):
    (tmp_path / "a.csv").write_text("claim_id\n")
    (tmp_path / "b.csv").write_text("claim_id\n")
    build.confirm_ledger(tmp_path / "a.csv", tmp_path / "b.csv")


@pytest.fixture
def steps(monkeypatch, project):
    """Stand-ins for the steps of a build that note their order; the ledger is one row."""
    order = []
    table = pd.DataFrame({"claim_id": ["os.hr"]})

    def assemble(_, target):
        order.append("assemble")
        ledger.write(table, target)
        return table

    def site(root):
        order.append("site")
        return project.write("_build/html/index.html", "first page")

    board = type("Board", (), {"text": lambda self: "1 number, accounted for"})
    monkeypatch.setattr("visiontrial.pairs.check", lambda folder: order.append(f"pairs of {folder.name}"))
    monkeypatch.setattr("visiontrial.execute.all", lambda progress, root: order.append("execute"))
    monkeypatch.setattr("visiontrial.ledger.assemble", assemble)
    monkeypatch.setattr("visiontrial.ledger.scoreboard", lambda table: board())
    monkeypatch.setattr("visiontrial.build.site", site)
    return order


def test_a_book_is_executed_confirmed_and_built_in_this_order(steps, project, capsys):
    project.write("book/ledger.csv", "claim_id\nos.hr\n")
    build.book(project.root)
    assert steps == ["pairs of notebooks", "execute", "assemble", "site"]
    said = capsys.readouterr().out
    assert "1 number, accounted for" in said
    assert said.splitlines()[-1].endswith(f"Its first page: {project.root}/_build/html/index.html")
    assert zipfile.is_zipfile(project.root / "_build/vision-reproduced.zip")


def test_a_ledger_that_is_not_the_committed_one_stops_the_build_until_accepted(steps, project, capsys):
    with pytest.raises(build.BuildError, match="make ledger"):
        build.book(project.root)
    assert "site" not in steps
    build.accept_ledger(project.root)
    assert "book/ledger.csv" in capsys.readouterr().out
    build.book(project.root)
    assert steps[-1] == "site"


MENDABLE = (PairError, ExecutionError, ledger.LedgerError, build.BuildError, published.PublishedDataError)


@pytest.mark.parametrize("kind", MENDABLE)
def test_a_failure_is_its_message_and_status_1(monkeypatch, capsys, kind):
    def fails():
        raise kind("chapter 02-baseline, cell [7]: os.hr")

    monkeypatch.setattr("visiontrial.build.book", fails)
    assert command.main(["book"]) == 1
    assert capsys.readouterr().err == "error: chapter 02-baseline, cell [7]: os.hr\n"


def test_a_defect_keeps_its_traceback(monkeypatch):
    def fails():
        raise ValueError("a defect")

    monkeypatch.setattr("visiontrial.build.book", fails)
    with pytest.raises(ValueError, match="a defect"):
        command.main(["book"])


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("visiontrial.build.book", interrupted)
    assert command.main(["book"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_the_check_imports_nothing_that_draws_or_fits():
    heavy = ("altair", "lifelines", "statsmodels", "papermill", "jupytext", "sphinx", "myst_nb", "matplotlib")
    script = f"import sys, visiontrial.check; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_lists_every_command_of_the_makefile():
    makefile = (paths.ROOT / "Makefile").read_text()
    declared = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    done = subprocess.run(["make", "help"], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"^  make (\w+) +(\S.*)$", done.stdout, re.M))
    assert set(listed) == declared
    assert {"book", "test", "check", "lab", "serve", "clean", "lock", "help"} <= declared


def test_the_locks_agree_and_name_no_address():
    pins = {}
    for lock in sorted(paths.ROOT.glob("requirements*.txt")):
        text = lock.read_text()
        assert "://" not in text
        for package, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.M):
            assert pins.setdefault(package, version) == version, f"{lock.name}: {package}"
        assert text.count("--hash=sha256:") >= len(re.findall(r"^[a-z0-9._-]+==", text, re.M))


def test_the_locks_hold_what_pyproject_asks_for():
    import tomllib

    from packaging.requirements import Requirement

    declared = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())
    groups = {"requirements.txt": declared["project"]["dependencies"]} | {
        f"requirements-{name}.txt": wanted for name, wanted in declared["dependency-groups"].items()
    }
    for lock, wanted in groups.items():
        pins = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (paths.ROOT / lock).read_text(), re.M))
        for requirement in map(Requirement, wanted):
            pinned = pins[requirement.name]
            assert requirement.specifier.contains(pinned), f"{lock}: {requirement}: run make lock"


def test_every_lock_serves_linux_and_macos():
    lock = (paths.ROOT / "requirements.txt").read_text()
    assert "appnope==" in lock  # the kernel's companion on macOS
    assert not re.search(r"^[a-z0-9._-]+==\S+ ; .*python_full_version >= '3\.1[23]", lock, re.M)


def test_no_stamp_survives_an_interrupted_installation(tmp_path):
    """The recipe that makes an environment touches its stamp last, and first removes the old environment."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((paths.ROOT / name).read_bytes())
    nowhere = f"visiontrial-no-such-package==1 --hash=sha256:{'0' * 64}\n"
    (tmp_path / "requirements.txt").write_text(nowhere)
    environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        ["make", "check", f"PYTHON={sys.executable}"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode
    assert not list((tmp_path / ".venv").glob(".locked*"))
    assert not list((tmp_path / ".venv").glob(".ready*"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 1", "needs 3.11 or later"),
        ("case $2 in *ensurepip*) exit 1;; esac", "apt-get install python3-venv"),
    ],
)
def test_an_unfit_python_is_named(tmp_path, script, message):
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((paths.ROOT / name).read_bytes())
    unfit = tmp_path / "python"
    unfit.write_text(f"#!/bin/sh\n{script}\n")
    unfit.chmod(0o755)
    done = subprocess.run(["make", "check", f"PYTHON={unfit}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode
    assert message in done.stderr


def test_a_python_that_is_not_there_is_named(tmp_path):
    Path(tmp_path / "Makefile").write_bytes((paths.ROOT / "Makefile").read_bytes())
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("")
    done = subprocess.run(["make", "check", "PYTHON=python9"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode
    assert "There is no python9" in done.stderr
