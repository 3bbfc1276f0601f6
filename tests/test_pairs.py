"""A chapter's notebook is exactly what its text makes, and a doctored one is found."""

from __future__ import annotations

import json
import shutil

import nbformat
import pytest

from visiontrial import pairs, paths


@pytest.fixture
def folder(project):
    project.chapter("01-one", "1 + 1", "1 + 1", "2 + 2")
    return project.root / "notebooks"


def test_the_books_own_pairs_agree():
    pairs.check(paths.NOTEBOOKS)


def test_a_twin_has_no_outputs_and_ids_that_follow_from_its_cells(folder):
    notebook = nbformat.read(folder / "01-one.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert ids[2] == f"{ids[1]}-2"
    assert pairs.twin(folder / "01-one.md") == pairs.twin(folder / "01-one.md")


def test_an_inserted_cell_leaves_the_other_ids_alone(project, folder):
    before = {cell["id"] for cell in json.loads((folder / "01-one.ipynb").read_text())["cells"]}
    project.chapter("01-one", "0", "1 + 1", "1 + 1", "2 + 2")
    after = {cell["id"] for cell in json.loads((folder / "01-one.ipynb").read_text())["cells"]}
    assert before < after
    assert len(after - before) == 1


def test_sync_writes_what_differs_and_nothing_else(folder):
    assert pairs.sync(folder) == []
    (folder / "01-one.ipynb").unlink()
    shutil.copy(folder / "01-one.md", folder / "02-two.md")
    assert [path.name for path in pairs.sync(folder)] == ["01-one.ipynb", "02-two.ipynb"]
    pairs.check(folder)


def test_tags_and_parameters_survive(folder):
    text = folder / "01-one.md"
    text.write_text(text.read_text().replace("ipython3\n2 + 2", 'ipython3\n:tags: ["parameters"]\nlevel = 1'))
    pairs.sync(folder)
    assert nbformat.read(folder / "01-one.ipynb", as_version=4).cells[-1].metadata.tags == ["parameters"]


def _doctor_cell(notebook):
    notebook["cells"][-1]["source"] = ["2 + 3"]


def _doctor_prose(notebook):
    notebook["cells"][0]["source"] = ["# Two"]


def _drop_cell(notebook):
    notebook["cells"].pop()


def _keep_output(notebook):
    notebook["cells"][1]["execution_count"] = 1


DOCTORED = {
    "cell": (_doctor_cell, "cell 4 is not that of 01-one.md: edit 01-one.md, then run: make pairs"),
    "prose": (_doctor_prose, "01-one.ipynb, cell 1 is not that of 01-one.md"),
    "missing cell": (_drop_cell, "01-one.ipynb has 3 cells, 01-one.md has 4"),
    "output": (_keep_output, "holds outputs or other metadata: run make pairs"),
}


@pytest.mark.parametrize("kind", DOCTORED)
def test_a_doctored_notebook_is_found(folder, kind):
    doctor, message = DOCTORED[kind]
    path = folder / "01-one.ipynb"
    notebook = json.loads(path.read_text())
    doctor(notebook)
    path.write_text(json.dumps(notebook))
    with pytest.raises(pairs.PairError) as found:
        pairs.check(folder)
    assert message in str(found.value)


def test_a_text_edited_alone_is_found(folder):
    text = folder / "01-one.md"
    text.write_text(text.read_text() + "\nMore prose.\n")
    with pytest.raises(pairs.PairError, match=r"01-one\.ipynb"):
        pairs.check(folder)


def test_a_notebook_without_text_and_a_text_without_notebook_are_found(folder):
    shutil.move(folder / "01-one.ipynb", folder / "02-two.ipynb")
    with pytest.raises(pairs.PairError) as found:
        pairs.check(folder)
    assert "01-one.ipynb is missing: run make pairs" in str(found.value)
    assert "02-two.ipynb has no text 02-two.md" in str(found.value)


def test_what_is_no_notebook_at_all_is_found(folder):
    (folder / "01-one.ipynb").write_text("<<<<<<< HEAD")
    with pytest.raises(pairs.PairError, match="is not a notebook"):
        pairs.check(folder)


def test_a_text_that_cannot_be_read_is_named(folder):
    (folder / "01-one.md").write_text("---\nkernelspec:\n  name: python3\n---\n")
    with pytest.raises(pairs.PairError, match=r"01-one\.md is not a MyST notebook: .*display_name"):
        pairs.check(folder)
