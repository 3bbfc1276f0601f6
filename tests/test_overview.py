"""The front page's picture and the charts of "Every number" show the printed numbers and no others."""

import pytest

from visiontrial import identities, ledger, published
from visiontrial.figures import overview
from visiontrial.render import FigureError


def _marks(specification):
    """Every drawing layer of a specification, however deep."""
    for key in ("layer", "vconcat", "hconcat"):
        for part in specification.get(key, []):
            yield from _marks(part)
    if "mark" in specification:
        yield specification


def test_medians_are_those_printed():
    rows = overview.median_rows().set_index("claim")
    assert list(rows.index) == ["pfs.median.lu", "pfs.median.control", "os.median.lu", "os.median.control"]
    for claim_id, row in rows.iterrows():
        assert row["printed"] == published.printed(claim_id)
        assert row["months"] == float(row["printed"])


def test_ratios_lie_inside_their_intervals_as_printed():
    for row in overview.ratio_rows().itertuples():
        stem = row.claim.removesuffix(".hr")
        low, high = (published.printed(f"{stem}.{end}") for end in ("ci-low", "ci-high"))
        assert row.printed == f"{published.printed(row.claim)} ({low} to {high})"
        assert row.level == published.printed(f"{stem}.ci-level") + "%"
        assert float(low) == row.low < row.ratio < row.high == float(high)


def test_the_front_picture_says_that_it_is_as_printed_and_gives_every_number():
    figure = overview.primary_results()
    assert figure.description.startswith("As printed in the paper; nothing here was computed.")
    for stem in overview.END_POINTS:
        for part in ("median.lu", "median.control", "hr", "ci-low", "ci-high", "ci-level"):
            assert published.printed(f"{stem}.{part}") in figure.description


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_the_front_picture_tells_the_arms_apart_by_colour_and_by_shape(variant):
    layers = list(_marks(overview.primary_results().variants[variant]))
    arms = [one["encoding"] for one in layers if one["encoding"].get("shape", {}).get("field") == "arm"]
    assert len(arms) == 1
    assert arms[0]["color"]["field"] == "arm"
    assert [x["field"] for x in arms[0]["tooltip"]] == ["end_point", "arm_name", "printed", "claim"]


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_the_hazard_ratios_stand_on_a_logarithmic_scale(variant):
    layers = _marks(overview.primary_results().variants[variant])
    scales = [
        one["encoding"]["x"]["scale"]
        for one in layers
        if one["encoding"].get("x2", {}).get("field") == "high"
    ]
    assert scales and all(scale["type"] == "log" for scale in scales)


def test_standing_counts_account_for_every_claim():
    table = ledger.compute()
    counts = overview.standing_counts(table)
    assert counts["numbers"].sum() == len(table)
    totals = counts.drop_duplicates("place").set_index("place")["place_total"]
    for location, place in overview.LOCATIONS.items():
        assert totals[place] == (table["location"] == location).sum()


def test_segments_are_labelled_in_their_middle():
    counts = overview.standing_counts(ledger.compute())
    for _, rows in counts.groupby("place"):
        ends = rows["numbers"].cumsum()
        assert (rows["middle"] == ends - rows["numbers"] / 2).all()
        assert ends.iloc[-1] == rows["place_total"].iloc[0]


def test_bars_keep_the_papers_order():
    counts = overview.standing_counts(ledger.compute())
    assert list(counts["place"].unique()) == list(overview.LOCATIONS.values())


def test_every_pair_of_grade_and_verdict_has_words_of_its_own():
    words = [words for words, _ in overview.STANDINGS.values()]
    assert len(set(words)) == len(words)


def test_a_standing_without_a_colour_is_refused():
    table = ledger.compute().head(1).assign(grade="fitted", verdict="unchecked")
    with pytest.raises(FigureError, match=r"fitted.*unchecked.*STANDINGS"):
        overview.ledger_by_location(table)


def test_the_room_for_a_hazard_ratio():
    room = overview.room_of("os.hr", ledger.registry())
    states = dict(zip(room.cells["printed"], room.cells["state"], strict=True))
    allowed = room.claim.allowed(room.bounds)
    assert states[published.printed("os.hr")] == "printed"
    assert sorted(room.cells.loc[room.cells["possible"] == "yes", "printed"]) == [
        allowed.lowest,
        allowed.highest,
    ]
    first, *_, last = states.values()
    assert first == last == "could not"


def test_the_room_shows_a_printed_number_that_is_impossible():
    claims = published.claims().copy()
    claims.loc[claims["claim_id"] == "os.hr", "printed"] = "0.66"
    known = identities.registry(claims, published.flow(), published.identities_table())
    cells = overview.room_of("os.hr", known).cells.set_index("printed")
    assert cells.loc["0.66", ["possible", "state"]].tolist() == ["no", "printed"]
    assert cells.loc["0.62", "possible"] == "yes"


@pytest.mark.parametrize("claim_id", ["os.median.lu", "response.cr.control.count"])
def test_where_the_others_leave_no_bounds_there_is_no_room_to_draw(claim_id):
    with pytest.raises(FigureError, match=claim_id):
        overview.room_for(claim_id)


@pytest.mark.parametrize(
    "draw", [overview.primary_results, overview.ledger_by_location, lambda: overview.room_for("os.hr")]
)
def test_figures_are_legible_and_the_same_every_time(draw):
    assert draw().html() == draw().html()
