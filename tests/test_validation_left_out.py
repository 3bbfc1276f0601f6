"""Leave-out on VISION: the blocks, their ranges, and what the ledger is given."""

from __future__ import annotations

import math

import pandas as pd
import pretend_engine
import pytest

from visiontrial import fitted, paths, published
from visiontrial.cohort import ensemble, reader, store
from visiontrial.cohort.rebuilding import RebuildingError
from visiontrial.validation import left_out


@pytest.fixture(scope="module")
def trial():
    return reader.read(paths.RECONSTRUCTION / ensemble.TRIAL)


# --- blocks ---------------------------------------------------------------------------------------


def test_six_blocks_hold_every_target_once(trial):
    claims = [claim for block in left_out.BLOCKS[:6] for claim in block.claims(trial)]
    assert sorted(claims) == sorted(t.claim_id for t in trial.targets)


@pytest.mark.parametrize("block", left_out.BLOCKS, ids=lambda block: block.name)
def test_a_block_takes_its_repeats_along(block, trial):
    claims = set(block.claims(trial))
    left = {t.claim_id for t in trial.without(*claims).targets}
    assert claims
    assert left
    for claim in claims:
        repeat = f"abstract.{claim}"
        assert repeat not in left
    # What is printed for the same statistic of the same patients leaves with it.
    gone = {(t.paramcd, t.population, t.statistic, t.arm) for t in trial.targets if t.claim_id in claims}
    kept = {(t.paramcd, t.population, t.statistic, t.arm) for t in trial.targets if t.claim_id in left}
    assert not gone & kept


def test_a_hazard_ratio_leaves_with_its_limits_and_its_p_value(trial):
    claims = left_out.blocks()["os-hazard-ratio"].claims(trial)
    assert {"os.hr", "os.ci-low", "os.ci-high", "os.p", "abstract.os.hr"} <= set(claims)


# --- ranges ---------------------------------------------------------------------------------------


def values(*numbers: float, claim: str = "os.hr") -> pd.DataFrame:
    rows = [("os-hazard-ratio", claim, n, number) for n, number in enumerate(numbers)]
    return pd.DataFrame(rows, columns=["block", "claim_id", "member", "value"])


@pytest.mark.parametrize(
    ("numbers", "printed", "low", "high", "covered"),
    [
        ((0.581, 0.7449), "0.62", "0.58", "0.74", "yes"),
        ((0.625, 0.7), "0.62", "0.63", "0.70", "no"),  # 0.62 stands for [0.615, 0.625)
        ((0.6249, 0.7), "0.62", "0.62", "0.70", "yes"),
        ((0.5, 0.6149), "0.62", "0.50", "0.61", "no"),
        ((0.5, 0.615), "0.62", "0.50", "0.62", "yes"),
        ((0.0002, 0.0309), "<0.001", "0.000", "0.031", "yes"),
        ((0.0011, 0.0309), "<0.001", "0.001", "0.031", "no"),
        ((9.0, math.inf), "11.3", "9.0", "inf", "yes"),
    ],
)
def test_ranges_by_hand(numbers, printed, low, high, covered):
    row = left_out.ranges(values(*numbers), {"os.hr": printed}).iloc[0]
    assert (row["left_out_low"], row["left_out_high"], row["covered"]) == (low, high, covered)
    assert row["members"] == len(numbers)


def test_the_ledger_gets_each_claim_once_from_its_own_block():
    twice = pd.concat([values(0.5, 0.7), values(0.8, 0.9).assign(block="os-hazard-ratios")])
    table = left_out.for_the_ledger(left_out.ranges(twice, {"os.hr": "0.62"}))
    assert list(table) == list(left_out.COLUMNS)
    assert table.to_numpy().tolist() == [["os.hr", "os-hazard-ratio", "0.50", "0.70", "yes", 2]]


# --- run and store --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine():
    """A member of the stored ensemble in the place of every reconstruction."""
    member = pretend_engine.drawn(*store.read("registry").member(0))
    return pretend_engine.engine_of(lambda *_: member)


def make(folder, engine, **options):
    options = {"only": ["sse"], "members": 2, "processes": 1, "engine": engine, **options}
    return left_out.make(
        kept=folder / "kept", stored=folder / "stored", ledger=folder / "left_out.csv", **options
    )


def test_a_cohort_that_agrees_with_everything_is_right_about_what_it_did_not_see(tmp_path, engine, trial):
    found = left_out.read(make(tmp_path, engine))
    printed = published.claims().set_index("claim_id")["printed"].to_dict()
    table = left_out.ranges(found.values, printed)
    assert table["claim_id"].tolist() == list(left_out.blocks()["sse"].claims(trial))
    assert (table["covered"] == "yes").all()
    shown = table[~table["printed"].str.startswith("<")]
    assert shown["left_out_low"].tolist() == shown["printed"].tolist() == shown["left_out_high"].tolist()
    assert found.manifest["blocks"] == {"sse": table["claim_id"].tolist()}


def test_a_trial_run_writes_nothing_for_the_ledger(tmp_path, engine):
    folder = make(tmp_path, engine)
    assert folder.is_relative_to(tmp_path / "kept")
    assert not (tmp_path / "left_out.csv").exists()


def test_a_block_without_members_stops_everything(tmp_path):
    with pytest.raises(RebuildingError, match="without sse none of 2 chains was accepted"):
        make(tmp_path, pretend_engine.engine_of(pretend_engine.fail))


def test_fewer_than_two_members_are_refused(tmp_path, engine):
    with pytest.raises(RebuildingError, match=r"^0 members: give at least 2"):
        make(tmp_path, engine, members=0)


# --- what is stored with the book -----------------------------------------------------------------


def test_the_ledgers_file_follows_from_the_stored_values():
    table = left_out.for_the_ledger(left_out.read_ranges())
    expected = table.to_csv(index=False, lineterminator="\n")
    assert left_out.LEDGER.read_text(encoding="utf-8") == expected


def test_the_ledger_takes_the_file():
    assert set(fitted.left_out()) == {
        t.claim_id for t in reader.read(paths.RECONSTRUCTION / ensemble.TRIAL).targets
    }


def test_every_block_was_left_out_of_the_trial_as_it_is(trial):
    found = left_out.read()
    assert found.manifest["trial_sha256"] == ensemble.trial_fingerprint(trial)
    assert found.manifest["blocks"] == {b.name: list(b.claims(trial)) for b in left_out.BLOCKS}
    members = found.values.groupby(["block", "claim_id"]).size().groupby("block").unique()
    accepted = found.chains.groupby("block")["accepted"].sum()
    assert {block: sizes.tolist() for block, sizes in members.items()} == {
        block: [count] for block, count in accepted.items()
    }
