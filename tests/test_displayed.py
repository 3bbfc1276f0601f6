"""The displayed cohort: the medoid under a distance fixed beforehand, with a dictionary and a notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pretend_engine
import pytest
from lifelines import KaplanMeierFitter

from visiontrial import paths
from visiontrial.cohort import characteristics_file, displayed, ensemble, store
from visiontrial.cohort.specification import DAYS_PER_MONTH


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> store.Ensemble:
    """A stored ensemble of pretended cohorts."""
    folder = tmp_path_factory.mktemp("wide")
    (made,) = ensemble.make(
        trial=pretend_engine.trial(), engine=pretend_engine.engine(), processes=1,
        plans=[ensemble.Plan("wide", chains=8, at_least=4)], kept=folder / "kept", stored=folder / "stored",
    )  # fmt: skip
    return store.read("wide", made.folder)


@pytest.fixture
def shown(wide, tmp_path) -> Path:
    displayed.make(wide, pretend_engine.trial(), None, tmp_path)
    return tmp_path


def test_distance_is_the_root_mean_square_over_all_curves_and_months():
    # Closed form: two curves of two months; differences 0.3 and 0.4 among four points: sqrt(0.25 / 4).
    one = np.array([[1.0, 0.8], [1.0, 0.9]])
    other = np.array([[1.0, 0.5], [1.0, 0.5]])
    between = displayed.distances(np.array([one, other]))
    np.testing.assert_allclose(between, [[0, 0.25], [0.25, 0]], atol=1e-15)


def test_medoid_has_the_least_sum_of_distances_and_is_the_first_of_equals():
    # Closed form on a line: of 0, 1 and 5 the middle one; of two or of four in a row the first that is best.
    def on_a_line(*points):
        return displayed.medoid(displayed.distances(np.array(points, dtype=float).reshape(-1, 1, 1)))

    assert on_a_line(5, 0, 1) == 2
    assert on_a_line(3, 7) == 0
    assert on_a_line(0, 0.1, 0.2, 0.3) == 1
    assert on_a_line(4) == 0


def test_curves_are_those_of_lifelines_kept_beyond_the_last_observation(wide):
    trial = pretend_engine.trial()
    estimates = displayed.curves(wide, trial)
    assert estimates.shape == (len(wide.members), 2 * 2, 31)
    adsl, adtte = wide.member(1)
    rows = adtte[adtte["PARAMCD"] == "PFS"].merge(adsl, on="USUBJID").query("TRT01PN == 1")
    fitted = KaplanMeierFitter().fit(rows["AVAL"], rows["CNSR"] == 0)
    expected = fitted.predict(displayed.MONTHS * DAYS_PER_MONTH)
    np.testing.assert_allclose(estimates[1, 3], expected, atol=1e-12)
    assert rows["AVAL"].max() < displayed.MONTHS[-1] * DAYS_PER_MONTH


def test_what_is_read_is_the_medoid_of_the_ensemble(wide, shown):
    cohort = displayed.read(shown)
    between = displayed.distances(displayed.curves(wide, pretend_engine.trial()))
    assert cohort.member == int(between.sum(axis=0).argmin())
    adsl, adtte = wide.member(cohort.member)
    pd.testing.assert_frame_equal(cohort.adsl, adsl)
    pd.testing.assert_frame_equal(cohort.adtte, adtte)
    assert cohort.manifest["made_from"] == wide.manifest["files"]


def test_the_csv_files_hold_the_same_rows(shown):
    cohort = displayed.read(shown)
    adsl = pd.read_csv(shown / "adsl.csv", parse_dates=["RANDDT", "LSTALVDT", "DTHDT"])
    pd.testing.assert_frame_equal(adsl.astype(cohort.adsl.dtypes), cohort.adsl)
    adtte = pd.read_csv(shown / "adtte.csv", parse_dates=["ADT"])
    pd.testing.assert_frame_equal(adtte.astype(cohort.adtte.dtypes), cohort.adtte)


def test_the_dictionary_has_each_variable_once_in_the_order_of_the_columns(shown):
    cohort = displayed.read(shown)
    for name, rows in (("ADSL (SYNTHETIC)", cohort.adsl), ("ADTTE (SYNTHETIC)", cohort.adtte)):
        described = cohort.dictionary[cohort.dictionary["dataset"] == name]
        assert list(described["variable"]) == list(rows.columns)
    assert set(cohort.dictionary["type"]) <= {"text", "integer", "decimal", "date"}
    source = cohort.dictionary.set_index("variable")["source"]
    assert (source["STRLDH"], source["EOSSTT"], source["AVAL"]) == ("assumed", "printed", "reconstructed")


def test_every_row_and_every_file_says_that_the_patients_are_synthetic(shown):
    cohort = displayed.read(shown)
    assert cohort.adsl["USUBJID"].str.startswith("SYNTHETIC").all()
    assert cohort.adtte["USUBJID"].str.startswith("SYNTHETIC").all()
    assert "SYNTHETIC" in (shown / "README.md").read_text().splitlines()[0]
    assert "SYNTHETIC" in cohort.manifest["content"]


def test_made_again_the_bytes_are_the_same(wide, shown, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    displayed.make(wide, pretend_engine.trial(), None, again)
    names = sorted(path.name for path in shown.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((shown / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_a_variable_without_a_meaning_is_refused(wide, tmp_path):
    unknown = replace(wide, adsl=wide.adsl.assign(SHOESIZE=43))
    with pytest.raises(displayed.DisplayedError, match="variable SHOESIZE of unknown meaning"):
        displayed.make(unknown, pretend_engine.trial(), None, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_characteristic_that_is_not_as_printed_is_refused(wide, tmp_path, monkeypatch):
    table = pd.DataFrame({"claim_id": ["table1.age"], "printed": ["70"], "ours": ["71"], "agrees": [False]})
    monkeypatch.setattr(displayed.characteristics, "characterize", lambda adsl, *_: adsl)
    monkeypatch.setattr(displayed.characteristics, "tabulate", lambda *_: table)
    with pytest.raises(displayed.DisplayedError, match=r"the first table1\.age: 71 for 70"):
        displayed.make(wide, pretend_engine.trial(), object(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_edited_file_is_refused_with_what_to_do(shown):
    path = shown / "adtte.csv"
    path.write_text(path.read_text().replace("SYNTHETIC-0001", "PATIENT-0001"))
    with pytest.raises(store.StoreError, match=r"adtte\.csv is not the file that was stored.*make ensemble"):
        displayed.read(shown)


@pytest.mark.slow
def test_every_member_can_be_given_the_whole_baseline_table(registry, vision):
    """Table 1 of the paper, in both sets: exact for any cohort, not for the displayed one alone."""
    described = characteristics_file.read(paths.RECONSTRUCTION / "vision", vision)
    for number in registry.members[::12]:
        adsl = displayed.characterized(registry.member(number)[0], vision, described, number)
        pd.testing.assert_frame_equal(adsl[registry.adsl.columns.drop("member")], registry.member(number)[0])
        assert len(adsl.columns) > len(registry.adsl.columns)
