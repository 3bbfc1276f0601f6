"""What is stored of every member is what the libraries say of its rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from visiontrial.cohort import derived, quantities, store, verify
from visiontrial.cohort.specification import DAYS_PER_MONTH


@pytest.mark.parametrize("member", [0, 57, -1])
def test_the_stored_tables_are_those_of_the_stored_rows(vision, registry, implied, member):
    member %= len(registry.members)
    tables = derived.of_member(vision, *registry.member(member))
    for name in ("statistics", "quantities"):
        ours = tables[name].iloc[0].astype(float)
        kept = getattr(implied, name).loc[member].astype(float)
        pd.testing.assert_series_equal(kept, ours, check_names=False, rtol=1e-9)
    kept = implied.curves[implied.curves["member"] == member].drop(columns="member").reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.astype({"survival": np.float32}), tables["curves"], check_dtype=False)


def test_every_member_prints_every_number_of_the_paper(vision, implied):
    """DESIGN: "each agreeing exactly". The intervals are those of the printed characters."""
    for target in vision.targets:
        values = implied.statistics[target.claim_id]
        assert ((target.low <= values) & (values < target.high)).all(), target.claim_id


def test_numbers_at_risk_events_and_censored_account_for_everybody(implied):
    """Whoever is not at risk just after a month has had the event or was censored by then."""
    curves = implied.curves
    everybody = curves.groupby(["member", "paramcd", "population", "arm"])["at_risk"].transform("max")
    gone = curves["events"] + curves["censored"]
    assert (curves["at_risk"] + gone >= everybody).all()
    # On a half month's own day (whole days only every 8 months) patients count in both.
    whole = np.isclose(curves["month"] * DAYS_PER_MONTH % 1, 0)
    assert (curves["at_risk"] + gone == everybody)[~whole].all()


def test_curves_agree_with_the_landmarks_among_the_quantities(vision, implied):
    for paramcd, population in quantities.analyses_of(vision):
        for arm in vision.arms:
            curve = implied.curve(paramcd, population, arm.name)
            landmark = implied.quantities[f"{paramcd}.{population}.survival_12.{arm.name}"]
            np.testing.assert_allclose(curve.loc[12.0], landmark, atol=1e-6)


def test_a_cohort_that_disagrees_is_not_described(vision, registry):
    adsl, adtte = registry.member(0)
    longer = adtte.assign(AVAL=adtte["AVAL"].where(adtte["PARAMCD"] != "SSE", adtte["AVAL"] + 1))
    with pytest.raises(verify.CohortRejected):
        derived.of_member(vision, adsl, longer)


def test_an_altered_table_is_refused(tmp_path):
    for path in store.folder_of("registry").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert "quantities.parquet" in json.loads((tmp_path / store.MANIFEST).read_text())["files"]
    with (tmp_path / "quantities.parquet").open("ab") as file:
        file.write(b" ")
    with pytest.raises(store.StoreError, match=r"quantities\.parquet is not the file that was stored"):
        derived.read("registry", tmp_path)
