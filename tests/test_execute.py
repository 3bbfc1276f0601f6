"""Chapters are executed once, again when anything they are made from changed, and whole or not at all."""

from __future__ import annotations

import json
import shutil
import sys

import nbformat
import pytest
from small_project import SmallProject

from visiontrial import execute, files, pairs, paths

# Counts its executions and writes its part of the ledger, as a chapter does.
COUNTING = """
from pathlib import Path
root = Path.cwd().parent
runs = root / "runs.txt"
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
part = root / "_build/ledger/01-counting.csv"
part.parent.mkdir(parents=True, exist_ok=True)
part.write_text("claim_id\\n")
"""

CHANGES = {
    "notebook": lambda project: project.chapter("01-counting", COUNTING, "'changed'"),
    "package": lambda project: project.write("src/visiontrial/__init__.py", "changed = 1\n"),
    "a new file of the package": lambda project: project.write("src/visiontrial/site/new.css", "a {}"),
    "data": lambda project: project.write("data/published/claims.csv", "claim_id\nos.hr\n"),
    "lock": lambda project: project.write("requirements.txt", "nothing==2\n"),
    "executed page": lambda project: project.write("_build/executed/notebooks/01-counting.ipynb", "{}"),
    "ledger part": lambda project: project.write("_build/ledger/01-counting.csv", "claim_id\nos.hr\n"),
    "lost ledger part": lambda project: (project.root / "_build/ledger/01-counting.csv").unlink(),
    "lost record": lambda project: (project.root / "_build/executed/notebooks/01-counting.key").unlink(),
    "broken record": lambda project: project.write("_build/executed/notebooks/01-counting.key", "{"),
}


@pytest.fixture
def report():
    """Collects what is reported: call it in place of `print`."""
    lines = []
    collect = lines.append
    return type("Report", (), {"__call__": staticmethod(collect), "lines": lines})()


def runs(project) -> int:
    return len((project.root / "runs.txt").read_text())


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A project whose chapter has been executed once."""
    project = SmallProject(tmp_path_factory.mktemp("executed"))
    project.chapter("01-counting", COUNTING)
    execute.run("01-counting", root=project.root)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("changed", CHANGES)
def test_a_chapter_is_executed_again_exactly_when_something_changed(executed, tmp_path, changed):
    project = SmallProject(shutil.copytree(executed.root, tmp_path / "copy"), fresh=False)
    assert execute.is_current("01-counting", project.root)
    CHANGES[changed](project)
    assert not execute.is_current("01-counting", project.root)
    execute.all(root=project.root)
    assert execute.is_current("01-counting", project.root)
    assert runs(project) == 2
    assert (project.root / "_build/ledger/01-counting.csv").read_text() == "claim_id\n"


@pytest.mark.slow
def test_an_unchanged_chapter_is_not_executed_again(project, report):
    project.chapter("01-counting", COUNTING)
    execute.all(report, project.root)
    # Neither of these is an input.
    project.write("src/visiontrial/__pycache__/a.pyc", "bytes")
    project.write("data/.DS_Store", "bytes")
    execute.all(report, project.root)
    assert runs(project) == 1
    assert "executed in" in report.lines[0]
    assert report.lines[1].split() == ["[1/1]", "01-counting", "unchanged"]


def test_the_key_depends_on_where_bytes_are(project):
    project.chapter("01-one", "1")
    project.write("data/a", "xy")
    project.write("data/b", "z")
    before = execute.key("01-one", project.root)
    project.write("data/a", "x")
    project.write("data/b", "yz")
    assert execute.key("01-one", project.root) != before


@pytest.mark.slow
def test_a_failing_cell_is_named_and_its_notebook_kept(project, report):
    failing = "\nvalue = 1\nassert value == 2, 'os.hr: printed 2, ours 1'"
    project.chapter("01-failing", "'fine'", failing, "'after'")
    project.chapter("02-fine", "'fine'")
    with pytest.raises(execute.ExecutionError) as failure:
        execute.all(report, project.root)
    assert str(failure.value).splitlines() == [
        "chapter 01-failing, cell [2]: AssertionError: os.hr: printed 2, ours 1",
        "  the cell begins: value = 1",
        "  the notebook as far as it came: _build/executed/failed/01-failing.ipynb",
    ]
    assert report.lines[0].endswith("FAILED")
    assert "executed in" in report.lines[1]
    assert (project.root / "_build/executed/failed/01-failing.ipynb").exists()
    assert not execute.is_current("01-failing", project.root)
    assert not (project.root / "_build/executed/notebooks/01-failing.ipynb").exists()


@pytest.mark.slow
def test_a_repaired_chapter_leaves_no_failed_notebook(project):
    project.chapter("01-one", "1/0")
    with pytest.raises(execute.ExecutionError, match="ZeroDivisionError: division by zero"):
        execute.run("01-one", root=project.root)
    project.chapter("01-one", "1/1")
    execute.run("01-one", root=project.root)
    assert not list((project.root / "_build/executed/failed").iterdir())


@pytest.mark.slow
def test_a_kernel_that_dies_is_reported(project):
    project.chapter("01-dying", "import os\nos._exit(1)")
    with pytest.raises(execute.ExecutionError, match="chapter 01-dying: DeadKernelError"):
        execute.run("01-dying", root=project.root)


def test_an_interrupted_run_leaves_no_record(project, monkeypatch):
    project.chapter("01-one", "1")
    project.write("_build/executed/notebooks/01-one.key", "a record of an earlier run")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("papermill.execute_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute.run("01-one", root=project.root)
    assert not list((project.root / "_build/executed/notebooks").iterdir())
    assert not execute.is_current("01-one", project.root)


@pytest.mark.slow
def test_parameters_change_the_run_and_leave_the_page_alone(project, tmp_path):
    text = project.chapter("01-one", "level = 1", "level * 21")
    tagged = text.read_text().replace("ipython3\nlevel = 1", 'ipython3\n:tags: ["parameters"]\nlevel = 1')
    text.write_text(tagged)
    pairs.sync(text.parent)
    page = execute.run("01-one", root=project.root)
    before = page.read_bytes()
    other = execute.run("01-one", {"level": 2}, tmp_path / "other.ipynb", root=project.root)
    assert results(page)[-1] == "21"
    assert results(other)[-1] == "42"
    assert page.read_bytes() == before
    assert execute.is_current("01-one", project.root)


def test_parameters_need_an_output_of_their_own(project):
    project.chapter("01-one", "1")
    with pytest.raises(ValueError, match="name an output"):
        execute.run("01-one", {"level": 2}, root=project.root)


def test_an_unknown_chapter_is_refused(project):
    project.chapter("01-one", "1")
    with pytest.raises(execute.ExecutionError, match=r"no chapter '02-two'; _toc\.yml has: 01-one"):
        execute.run("02-two", root=project.root)


def test_a_chapter_without_notebook_is_refused(project):
    project.chapter("01-one", "1")
    (project.root / "notebooks/01-one.ipynb").unlink()
    with pytest.raises(execute.ExecutionError, match=r"01-one\.ipynb is missing; .* make pairs"):
        execute.run("01-one", root=project.root)


@pytest.mark.slow
def test_the_kernel_is_this_environment_whoever_runs_it(project, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "another", "language": "python"}
    project.write("elsewhere/kernels/python3/kernel.json", json.dumps(spec))
    project.write("elsewhere/profile_default/startup/00.py", "raise SystemExit('not ours')")
    monkeypatch.setenv("JUPYTER_PATH", str(elsewhere))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(elsewhere))
    monkeypatch.setenv("IPYTHONDIR", str(elsewhere))
    project.chapter("01-where", f"import sys\nsys.prefix == {sys.prefix!r}")
    assert results(execute.run("01-where", root=project.root)) == ["True"]


@pytest.mark.slow
def test_two_runs_give_the_same_bytes_and_nothing_of_the_machine(project):
    project.chapter(
        "01-one",
        "import sys\nfrom pathlib import Path\nprint(Path.cwd().parent / 'data')\nprint(Path.cwd().parent)",
        "print(sys.prefix + '/lib')",
        "for i in range(2000):\n    print(i, flush=True)",
        "set('abcdefgh')",
        "https = 'https://example.org' + str(Path.cwd())\nhttps == 'https://example.org' + str(Path.cwd())",
    )
    first = execute.run("01-one", root=project.root).read_bytes()
    second = execute.run("01-one", root=project.root).read_bytes()
    assert first == second
    text = first.decode()
    for trace in (str(project.root), sys.prefix, str(paths.ROOT), "start_time", "iopub", "papermill"):
        assert trace not in text
    assert '"data\\n"' in text


def test_paths_inside_addresses_are_no_paths(project):
    address = f"https://example.org{project.root}/page"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text=address)])]
    )
    assert execute.cleaned(notebook, project.root).cells[0].outputs[0].text == address


def test_chapters_are_those_of_the_toc_in_its_order(project):
    project.write(
        "_toc.yml",
        "root: book/index\nparts:\n- caption: A\n  chapters:\n  - file: notebooks/02-b\n    sections:\n"
        "    - file: notebooks/01-a\n  - file: book/page\n- chapters:\n  - file: notebooks/90-c\n",
    )
    assert execute.chapters(project.root) == ["02-b", "01-a", "90-c"]


def test_the_books_own_chapters_all_have_a_text():
    for name in execute.chapters():
        assert (paths.NOTEBOOKS / f"{name}.md").exists(), name


@pytest.mark.slow
def test_what_a_removed_chapter_wrote_is_removed(project, report):
    project.chapter("01-one", "1")
    gone = [
        project.write(f"_build/{name}", "old")
        for name in ("executed/notebooks/09-old.ipynb", "executed/notebooks/09-old.key", "ledger/09-old.csv")
    ]
    execute.all(report, project.root)
    assert not any(path.exists() for path in gone)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "deep" / "file.csv"
    files.write_text(target, "old\n")
    monkeypatch.setattr(files.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_text(target, "new\n")
    assert target.read_bytes() == b"old\n"
    assert [path.name for path in target.parent.iterdir()] == ["file.csv"]


def results(path) -> list[str]:
    """What the cells of a notebook returned, as text."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]


def test_a_warning_in_a_cell_is_not_published(project):
    project.chapter("01-loud", "import warnings\nwarnings.warn('indexing past lexsort depth')")
    with pytest.raises(execute.ExecutionError, match=r"chapter 01-loud wrote to stderr, cell \[\d+\]"):
        execute.run("01-loud", root=project.root)
    assert not execute.is_current("01-loud", project.root)
