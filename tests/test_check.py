"""`make check` is judged by what it catches: one wrong digit at a time."""

import random

import pytest

from visiontrial import check, identities, ledger, published

SEED = 20210624  # the day the paper appeared
MUTATIONS = 100


def _doctored(claim_id, text):
    claims = published.claims().copy()
    claims.loc[claims["claim_id"] == claim_id, "printed"] = text
    return claims


def _is_caught(claims):
    try:
        published.validate_claims(claims)
    except published.PublishedDataError:
        return True
    known = identities.registry(claims, published.flow(), published.identities_table())
    return bool(check.findings(known, claims))


def _one_digit_changed(rng, text):
    position = rng.choice([n for n, character in enumerate(text) if character.isdigit()])
    other = rng.choice([digit for digit in "0123456789" if digit != text[position]])
    return text[:position] + other + text[position + 1 :]


def test_the_published_numbers_hold_together():
    assert check.findings(ledger.registry(), published.claims()) == []
    assert "hold" in check.run()


def test_a_broken_sum_names_every_member_with_its_line():
    claims = _doctored("fig1.control.discontinued-trial.died.all", "168")
    known = identities.registry(claims, published.flow(), published.identities_table())
    broken = check.findings(known, claims)
    assert broken
    text = "\n".join(finding.text(claims) for finding in broken)
    assert "fig1.control.discontinued-trial.died.all printed '168'" in text
    assert "claims.csv: line " in text


def test_a_repeat_that_differs_is_found():
    assert _is_caught(_doctored("abstract.followup.median", "20.8"))


def test_a_threshold_repeats_its_words():
    known = ledger.registry()
    assert known.values["table2.label.grade-3.lu"].printed.sign == "≥"
    assert known.values["adverse-events.grade-3.threshold"].printed.sign == ""


@pytest.mark.slow
def test_one_wrong_digit_is_caught_at_least_eighty_times_of_a_hundred(capsys):
    rng = random.Random(SEED)
    known, claims = ledger.registry(), published.claims()
    printed = dict(zip(claims["claim_id"], claims["printed"], strict=True))
    touched = [i for i in claims["claim_id"] if i in known.spoken_of and any(c.isdigit() for c in printed[i])]
    chosen = [rng.choice(touched) for _ in range(MUTATIONS)]
    missed = [i for i in chosen if not _is_caught(_doctored(i, _one_digit_changed(rng, printed[i])))]
    caught = MUTATIONS - len(missed)
    bare = check.untouched(claims, known)
    with capsys.disabled():
        print(f"\nmutation score: {caught} of {MUTATIONS} wrong digits caught; missed in {', '.join(missed)}")
        print(f"{len(bare)} claims that no identity touches: {', '.join(bare)}")
    assert caught >= 80
