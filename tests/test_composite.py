"""A composite end point taken apart: every first event is counted once, in every cohort of the ensemble."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from visiontrial import composite, efficacy, paths
from visiontrial.cohort import displayed, reader, store
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.cohort.specification import Trial
from visiontrial.cohort.verify import Analyses
from visiontrial.figures import composite as figures
from visiontrial.printed import as_printed


@pytest.fixture(scope="module")
def trial() -> Trial:
    return reader.read(paths.RECONSTRUCTION / "vision")


@pytest.fixture(scope="module")
def first(trial) -> pd.DataFrame:
    return composite.first_events(trial, "registry", "SSE", "pfs_set")


def test_the_displayed_cohort_counted_by_its_own_rows(trial, first):
    shown = displayed.read()
    analyses = Analyses(trial, shown.adsl, shown.adtte)
    rows = shown.adtte.merge(shown.adsl[["USUBJID", "TRT01PN", "PFSSETFL"]], on="USUBJID")
    rows = rows[(rows["PARAMCD"] == "SSE") & (rows["PFSSETFL"] == "Y")]
    for number, arm in enumerate(trial.arms):
        mine = first.loc[(shown.member, arm.name)]
        deaths = ((rows["TRT01PN"] == number) & (rows["EVNTDESC"] == "Death")).sum()
        assert mine["deaths"] == deaths
        assert mine.sum() == analyses.of_arm("SSE", "pfs_set", arm.name).event.sum()


def test_every_cohort_and_arm_has_a_line(trial, first):
    manifest = json.loads((store.folder_of("registry") / store.MANIFEST).read_text())
    assert first.index.get_level_values("member").nunique() == manifest["members"]
    assert len(first) == manifest["members"] * len(trial.arms)
    assert (first >= 0).all().all()


def test_deaths_first_are_at_most_the_deaths(trial, first):
    """The deaths of overall survival in the same patients bound those that end the composite's time."""
    deaths = composite.first_events(trial, "registry", "OS", "pfs_set")
    assert (deaths["others"] == 0).all()
    assert (first["deaths"] <= deaths["deaths"]).all()


@pytest.mark.parametrize(("paramcd", "population"), [("QOL", "pfs_set"), ("SSE", "safety")])
def test_what_is_not_there_is_named(trial, paramcd, population):
    with pytest.raises(
        ValueError, match=f"there is no {paramcd} in {population}: end points are OS, PFS, SSE"
    ):
        composite.first_events(trial, "registry", paramcd, population)


def test_the_table_gives_ranges_and_says_whose(first):
    reconstruction = efficacy.load()
    text = figures.ranges_table(reconstruction, "SSE", "pfs_set", first).text
    events = reconstruction.range_of("SSE.pfs_set.events.lu")
    line = next(line for line in text.splitlines() if line.startswith("First events"))
    assert f"{as_printed(events.low, 0)} to {as_printed(events.high, 0)}" in line
    deaths = first.xs("lu", level="arm")
    share = reconstruction_range(100 * deaths["deaths"] / deaths.sum(axis=1))
    line = next(line for line in text.splitlines() if line.startswith("Deaths among"))
    assert f"{as_printed(share.low, 0)} to {as_printed(share.high, 0)}" in line
    assert f"Reconstructed patients, not the trial's data: all {reconstruction.cohorts} cohorts" in text
