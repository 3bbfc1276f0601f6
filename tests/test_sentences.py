"""Every sentence of the paper's results has its place, and the list of them refuses what would hide one."""

import re
import shutil

import pytest
import yaml
from docutils import nodes

from visiontrial import ledger, paths, published, sentences
from visiontrial.published import PublishedDataError

FIRST = "results.patients.1.1,"


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "published"
    shutil.copytree(paths.PUBLISHED, copy)
    return copy


def test_the_results_have_as_many_sentences_below_each_heading_as_a_second_reader_counted():
    """Counted by splitting the text at full stops, apart from the reading that made the file."""
    headings = published.sentences()["sentence"].str.split(".").str[1]
    assert headings.value_counts(sort=False).to_dict() == {
        "patients": 9,
        "primary-end-points": 8,
        "sensitivity-analyses": 2,
        "key-secondary-end-points": 3,
        "other-secondary-end-points": 3,
        "drug-exposure": 3,
        "adverse-events": 4,
    }


def test_every_number_of_the_results_stands_in_one_sentence():
    claims = published.claims()
    printed = claims.loc[claims["location"] == "results", "claim_id"]
    assert sorted(published.sentences()["claims"].explode().dropna()) == sorted(printed)


def test_a_stem_stands_for_the_claims_of_its_location_alone():
    rows = published.sentences().set_index("sentence")
    skeletal = rows.at["results.key-secondary-end-points.1.1", "claims"]
    assert skeletal[:2] == ("sse.n", "sse.median.lu") and len(skeletal) == 9
    assert "os-pfs-set.hr" not in rows.at["results.primary-end-points.1.1", "claims"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("patients.1.2,", "patients.1.3,", "line 3: sentence 'results.patients.1.3' is out of order"),
        ("patients.2.1,", "patients.3.1,", "line 5: sentence 'results.patients.3.1' is out of order"),
        (FIRST, "results.patients,", "line 2: sentence 'results.patients' is out of order"),
        (FIRST, "results.patients.1.0,", "line 2: sentence 'results.patients.1.0' is out of order"),
        ("drug-exposure.1.1,", "patients.1.1,", "sentence 'results.patients.1.1' is out of order"),
        (",pfs.*,", ",pfs.* pfs.hrr,", r"line 11: claims 'pfs.* pfs.hrr' is no claim printed there"),
        (",pfs.*,", ",pfs*,", r"line 11: claims 'pfs*' is no claim printed there"),
        (",pfs.*,", ",pfs.* abstract.pfs.hr,", r"'pfs.* abstract.pfs.hr' is no claim printed there"),
        (",pfs.*,", ",pfs.* os.hr,", "claim os.hr stands in 2 sentences"),
        (",pfs.*,", ",,", "claim pfs.hr stands in 0 sentences"),
        (",fig2.pfs.curve,", ",fig2.curve,", "line 11: named_results 'fig2.curve' is no result_id"),
        (",fig2.pfs.curve,", ",,", "named result fig2.pfs.curve stands in no sentence"),
        (
            ",22-sensitivity#progression-free-survival-in-everybody-randomized\n",
            ",\n",
            "line 12: place '' is empty",
        ),
        (",Subgroups,", ",,", "says '' is empty"),
    ],
)
def test_a_sentence_that_cannot_stand_is_named_with_the_remedy(folder, old, new, message):
    path = folder / "sentences.csv"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PublishedDataError, match=re.escape(message)) as error:
        published.sentences(folder)
    assert "sentences.csv" in str(error.value)


# --- the place of a sentence -----------------------------------------------------------------


def test_every_place_is_a_section_of_a_page_of_the_book():
    toc = yaml.safe_load((paths.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}
    for place in published.sentences()["place"].explode():
        assert f"notebooks/{place.split('#')[0]}" in pages
        sentences.link(place)  # raises where there is no such section


def test_the_chapter_that_answers_for_most_numbers_of_a_sentence_is_among_its_places():
    for row in published.sentences().itertuples():
        owners = [ledger.owner(claim_id) for claim_id in row.claims]
        if owners:
            most = max(owners, key=owners.count)
            assert most in {place.split("#")[0] for place in row.place}, row.sentence


def test_a_section_has_the_id_that_its_page_gives_it():
    """Docutils makes the ids of the pages: https://docutils.sourceforge.io/docs/ref/rst/directives.html#identifier-normalization"""
    for place in published.sentences()["place"].explode():
        page, section = place.split("#")
        assert nodes.make_id(sentences.sections(page)[section]) == section


def test_a_comment_in_a_cell_is_no_section(tmp_path):
    (tmp_path / "01-x.md").write_text("# One, two\n\n```{code-cell}\n# no heading\n```\n\n### Is it?\n")
    assert sentences.sections("01-x", tmp_path) == {"one-two": "One, two", "is-it": "Is it?"}


def test_a_place_that_is_nowhere_is_refused():
    with pytest.raises(sentences.PlaceError, match="20-imaging-based-pfs has no section 'nowhere'; it has"):
        sentences.link("20-imaging-based-pfs#nowhere")
    with pytest.raises(sentences.PlaceError, match="'99-nothing' is no chapter of notebooks/"):
        sentences.link("99-nothing#nowhere")


# --- what became of its numbers --------------------------------------------------------------


def test_the_standing_of_a_sentence_is_that_of_its_numbers_in_the_ledger():
    rows = sentences.accounts()
    account = ledger.compute()
    assert rows["numbers"].sum() == (account["location"] == "results").sum()
    adjusted = rows[rows["says"].str.contains("adjusted")].iloc[0]
    assert adjusted["standing"] == "3 compatible, 1 unchecked"  # ratio and limits; the level of the interval
    assert adjusted["named"] == "1 not shown"
    counted = rows["standing"].str.extractall(r"(\d+) (\w+)").groupby(1)[0].agg(lambda n: n.astype(int).sum())
    matches = account[(account["location"] == "results") & (account["verdict"] == "match")]
    assert counted["fitted"] == (matches["grade"] == "fitted").sum()
    assert counted["recomputed"] == (matches["grade"] == "recomputed").sum()


def test_the_table_links_each_sentence_and_is_the_same_every_time():
    made = sentences.table().html
    assert made == sentences.table().html
    assert 'href="22-sensitivity.ipynb#who-dropped-out"' in made
    assert made.count('href="') == published.sentences()["place"].map(len).sum()
