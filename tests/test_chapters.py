"""Every chapter of the book: at its defaults twice, and once with other parameters."""

import pytest

from visiontrial import execute, ledger, paths
from visiontrial.chapter import Chapter, ClaimMismatch, LedgerPart, defaults

OTHER_PARAMETERS = {
    "00-design": {"n_simulations": 500, "p_disease_control": 0.2, "correlation": 0.0},
    "01-eligibility-flow": {
        "confidence_level": 0.9,
        "interval_method": "beta",
        "unknown_status": "uncounted",
    },
    "02-baseline": {"smd_threshold": 0.25, "multiplicity_method": "fdr_bh", "alpha": 0.01},
    "10-rebuilding-the-patients": {
        "miniature_chains": 6,
        "digits_dropped": 1,
        "left_out": "pfs.median.test",
    },
    "11-how-far-to-trust-it": {"comparison": "cgvhd"},
    "20-imaging-based-pfs": {
        "analysis_set": "all_randomized",
        "confidence_level": 0.9,
        "ties": "breslow",
        "time_limit": 12,
    },
    "21-overall-survival": {
        "analysis_set": "pfs_set",
        "interval_transform": "log",
        "confidence_level": 0.9,
        "ties": "breslow",
        "time_limit": 12,
    },
    "22-sensitivity": {"analysis_name": "os", "factor_lu": 3.0, "imputations": 20},
    "23-secondary-end-points": {
        "confidence_level": 0.9,
        "estimator": "half-added",
        "family_level": 0.01,
    },
    "50-adverse-events": {"confidence_level": 0.9, "difference_method": "agresti-caffo"},
    "80-forensics": {"doctored_claim": "os.ci-high", "doctored_value": "0.94"},
    "90-every-number": {"claim_id": "os.median.lu", "mutation_seed": 1, "mutations": 3},
}
NOTHING_DIFFERS = ("20-imaging-based-pfs", "21-overall-survival")
"""Chapters that hold the paper's numbers against its own analysis, whatever the reader's parameters."""
CHAPTERS = execute.chapters()
BANNER = "banner-parameters"


def test_every_chapter_is_tried_with_other_parameters():
    assert sorted(OTHER_PARAMETERS) == sorted(CHAPTERS)
    for name, changed in OTHER_PARAMETERS.items():
        assert changed.keys() <= defaults(name).keys()
        assert all(defaults(name)[parameter] != value for parameter, value in changed.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_gives_the_same_bytes_again(name, tmp_path):
    """Figures, tables and glued numbers are in the notebook: all of them are compared."""
    assert execute.is_current(name), "execute the chapters first: make book"
    page = (paths.EXECUTED / f"{name}.ipynb").read_bytes()
    again = execute.run(name, output=tmp_path / "again.ipynb").read_bytes()
    assert BANNER.encode() not in again
    assert again == page


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_with_other_parameters_says_so_and_accounts_for_nothing(name, tmp_path):
    part = paths.LEDGER_PARTS / f"{name}.csv"
    before = part.stat().st_mtime_ns if part.exists() else None
    page = execute.run(name, OTHER_PARAMETERS[name], tmp_path / "other.ipynb").read_text(encoding="utf-8")
    assert BANNER in page
    assert name not in NOTHING_DIFFERS or "class='verdict-differs'" not in page
    assert (part.stat().st_mtime_ns if part.exists() else None) == before


# --- what a notebook calls ----------------------------------------------------------------------


def test_a_value_that_does_not_print_alike_names_chapter_and_claim():
    page = Chapter("02-baseline", **defaults("02-baseline"))
    with pytest.raises(
        ClaimMismatch, match=r"chapter 02-baseline: table1\.bone\.all\.lu\.percent: printed 91\.5"
    ):
        page.compare({"table1.bone.all.lu.percent": 91.4}, caption="wrong")


def test_a_comparison_shows_what_it_asserted():
    page = Chapter("02-baseline", **defaults("02-baseline"))
    shown = page.compare({"table1.bone.all.lu.percent": 100 * 504 / 551}, caption="Bone")
    assert shown.frame.loc[0, ["published", "ours", "verdict"]].tolist() == ["91.5", "91.5", "match"]
    assert "<caption>Bone</caption>" in shown._repr_html_()
    group = "<th scope='rowgroup' colspan='5'>Site of disease: bone, all randomized, 177Lu-PSMA-617</th>"
    row = "<th scope='row'>percent<br><small>table1.bone.all.lu.percent</small></th>"
    assert shown._repr_html_().index(group) < shown._repr_html_().index(row)


def test_a_comparison_names_what_its_rows_are_about_once():
    page = Chapter("02-baseline", **defaults("02-baseline"))
    values = {"os.hr": 0.62, "os.ci-low": 0.52, "pfs.hr": 0.40}
    shown = page.compare(values, caption="Two end points")._repr_html_()
    assert shown.count("scope='rowgroup'") == 2
    assert shown.count("scope='row'") == 3


def test_other_parameters_confirm_nothing_and_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LEDGER_PARTS", tmp_path)
    page = Chapter("02-baseline", **{**defaults("02-baseline"), "alpha": 0.2})
    assert not page.is_default
    assert (
        page.compare({"table1.bone.all.lu.percent": 1.0}, caption="no error").frame.loc[0, "verdict"]
        == "differs"
    )
    assert len(page.ledger().frame) == len(ledger.of_chapter("02-baseline"))
    assert list(tmp_path.iterdir()) == []


def test_only_formatted_text_is_glued():
    page = Chapter("02-baseline", **defaults("02-baseline"))
    with pytest.raises(TypeError, match="give text, formatted once"):
        page.glue("share", 0.914)


def test_one_number_is_told_in_the_singular():
    assert LedgerPart(ledger.of_chapter("22-sensitivity").head(1)).summary.startswith(
        "This chapter answers for 1 printed number: "
    )


def test_a_chapter_that_answers_for_no_number_says_so():
    part = LedgerPart(ledger.of_chapter("02-baseline").head(0))
    assert part.summary == "This chapter answers for no printed number: others do."
    assert part._repr_html_() == f"<p class='ledger-part'>{part.summary}</p>"
