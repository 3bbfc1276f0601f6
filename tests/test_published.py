"""The data as transcribed, and the errors that whoever edits them will read."""

import shutil

import pandas as pd
import pytest

from visiontrial import paths, published
from visiontrial.published import PublishedDataError


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "published"
    shutil.copytree(paths.PUBLISHED, copy)
    return copy


@pytest.fixture
def claims():
    return published.claims().copy()


def test_the_published_numbers_are_valid_and_complete():
    table = published.claims()
    assert set(table["location"]) == set(published.LOCATIONS)
    assert table["claim_id"].is_unique
    assert 780 < len(table) < 860  # the design's estimate was about 820


@pytest.mark.parametrize(
    ("column", "bad", "message"),
    [
        ("arm", "placebo", "line 5: arm 'placebo' is unknown: use one of lu, control, all, na"),
        ("analysis_set", "itt", "line 5: analysis_set 'itt' is unknown: use one of all_randomized"),
        ("statistic", "mean", "line 5: statistic 'mean' is unknown: use one of count"),
        ("location", "page 3", "line 5: location 'page 3' is unknown"),
        ("printed", "0,62", "line 5: printed '0,62' is no number: write digits"),
        ("claim_id", "OS hr", "line 5: claim_id 'OS hr' must be lower-case words joined by dots"),
        ("denominator", "nobody.count", "line 5: denominator 'nobody.count' is not the claim_id of a count"),
    ],
)
def test_a_bad_cell_is_named_with_its_line_its_value_and_the_remedy(claims, column, bad, message):
    claims.loc[3, column] = bad
    with pytest.raises(PublishedDataError) as error:
        published.validate_claims(claims)
    assert message in str(error.value)


def test_a_duplicate_id_names_the_second_line(claims):
    claims.loc[10, "claim_id"] = claims.loc[4, "claim_id"]
    with pytest.raises(PublishedDataError, match=r"line 12: claim_id .* stands twice"):
        published.validate_claims(claims)


def test_a_percent_needs_its_denominator(claims):
    row = claims.index[claims["statistic"] == "percent"][0]
    claims.loc[row, "denominator"] = ""
    with pytest.raises(PublishedDataError, match=f"line {row + 2}: .*percent without denominator"):
        published.validate_claims(claims)
    claims.loc[row, "note"] = "no denominator is printed"
    published.validate_claims(claims)


def test_an_unreadable_date_is_refused(claims):
    row = claims.index[claims["statistic"] == "date"][0]
    claims.loc[row, "printed"] = "5.3.2019"
    with pytest.raises(PublishedDataError, match=f"line {row + 2}: printed '5.3.2019' is no date"):
        published.validate_claims(claims)


def test_every_problem_is_named_at_once(claims):
    claims.loc[3, "arm"] = "x"
    claims.loc[7, "printed"] = "y"
    with pytest.raises(PublishedDataError) as error:
        published.validate_claims(claims)
    assert len(str(error.value).splitlines()) == 2


def test_missing_file_and_wrong_columns(folder):
    (folder / "ownership.csv").unlink()
    with pytest.raises(PublishedDataError, match="file is missing"):
        published.ownership(folder)
    (folder / "explanations.csv").write_text("claim,why\n")
    with pytest.raises(PublishedDataError, match="line 1: the columns are"):
        published.explanations(folder)


def test_a_flow_box_needs_a_parent_that_exists(folder):
    text = (folder / "flow.csv").read_text()
    (folder / "flow.csv").write_text(text.replace("fig1.lu.assigned,side", "fig1.lu.asigned,side", 1))
    with pytest.raises(PublishedDataError, match=r"parent 'fig1\.lu\.asigned' is no box"):
        published.flow(folder)


def test_the_checksums_are_those_of_the_files(monkeypatch):
    monkeypatch.delenv(published.SKIP_CHECKSUM, raising=False)
    published.verify_checksums()


def test_a_changed_file_is_found_unless_the_check_is_switched_off(folder, monkeypatch):
    monkeypatch.delenv(published.SKIP_CHECKSUM, raising=False)
    claims_file = folder / "claims.csv"
    claims_file.write_text(claims_file.read_text().replace("0.62", "0.63", 1))
    with pytest.raises(PublishedDataError, match=r"claims\.csv.*make checksums"):
        published.verify_checksums(folder)
    monkeypatch.setenv(published.SKIP_CHECKSUM, "1")
    published.verify_checksums(folder)


def test_a_lost_record_of_checksums_is_named(folder, monkeypatch):
    monkeypatch.delenv(published.SKIP_CHECKSUM, raising=False)
    (folder / published.CHECKSUMS).unlink()
    with pytest.raises(PublishedDataError, match="SHA256SUMS: the file is missing"):
        published.verify_checksums(folder)


@pytest.mark.parametrize(
    ("claim_id", "words"),
    [
        ("os.median.lu", "Overall survival, 177Lu-PSMA-617, median"),
        ("abstract.os.ci-low", "Overall survival, lower limit, in the abstract"),
        # Table 1 has every label for all patients and for the PFS set.
        ("table1.bone.pfs.control.percent", "Site of disease: bone, PFS set, control, percent"),
        ("methods.eligibility.taxane.low", "Previous taxane regimens"),
    ],
)
def test_a_claim_in_words(claim_id, words):
    assert published.in_words(claim_id) == words


def test_every_claim_has_words_and_an_unknown_one_has_none():
    assert all(published.in_words(claim_id) for claim_id in published.claims()["claim_id"])
    with pytest.raises(KeyError, match=r"os\.hr"):
        published.in_words("os.hrr")


def test_an_unknown_claim_suggests_its_neighbours():
    with pytest.raises(KeyError, match=r"os\.hr"):
        published.printed("os.hrr")


# --- two readings ------------------------------------------------------------------------

READINGS = paths.PUBLISHED / "readings"
COMPARED = ("location", "printed", "statistic", "arm", "analysis_set", "unit", "denominator")


def _reading(name):
    return pd.read_csv(READINGS / f"{name}.csv", dtype=str, keep_default_na=False)


def test_claims_are_the_first_reading_with_the_reconciled_fields():
    first, decisions = _reading("first").set_index("claim_id", drop=False), _reading("reconciliation")
    kept_ids = decisions[decisions["field"] == "claim_id"].set_index("first")["kept"].to_dict()
    for row in decisions[decisions["field"] != "claim_id"].itertuples():
        first.loc[row.first_id, row.field] = row.kept
    first["claim_id"] = first["claim_id"].replace(kept_ids)
    first["denominator"] = first["denominator"].replace(kept_ids)
    pd.testing.assert_frame_equal(first.reset_index(drop=True), published.claims(), check_dtype=False)


def test_every_difference_between_the_readings_is_reconciled():
    first, second, decisions = _reading("first"), _reading("second"), _reading("reconciliation")
    renamed = decisions[decisions["field"] == "claim_id"].set_index("first")["second"].to_dict()
    decided = set(zip(decisions["first_id"], decisions["field"], strict=True))
    back = {second_id: first_id for first_id, second_id in renamed.items()}
    second = second.set_index("claim_id")
    assert {renamed.get(i, i) for i in first["claim_id"]} == set(second.index)
    for row in first.itertuples():
        other = second.loc[renamed.get(row.claim_id, row.claim_id)]
        for field in COMPARED:
            theirs = back.get(other[field], other[field]) if field == "denominator" else other[field]
            assert getattr(row, field) == theirs or (row.claim_id, field) in decided, (row.claim_id, field)


def test_the_two_readings_agree_on_every_printed_character():
    decisions = _reading("reconciliation")
    assert not decisions["field"].isin(["printed", "location", "statistic"]).any()
