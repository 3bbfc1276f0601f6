"""Which ensembles are made is data of the trial; what is wrong in it is named with file, key and remedy."""

from __future__ import annotations

import pytest

from visiontrial import paths
from visiontrial.cohort.plans import FILE, Plan, read_plans
from visiontrial.cohort.references import SpecificationError


def written(folder, text: str):
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def test_plans_are_read_in_their_order(tmp_path):
    text = """
[[ensembles]]
name = "wide"
chains = 8
at_least = 4

[[ensembles]]
name = "narrow-one"
chains = 5
at_least = 2
single_shape = true
stratified_by = []

[[ensembles]]
name = "some"
chains = 5
at_least = 5
stratified_by = ["ldh", "ecog"]
"""
    assert read_plans(written(tmp_path, text)) == (
        Plan("wide", 8, 4),
        Plan("narrow-one", 5, 2, {"single_shape": True}, ()),
        Plan("some", 5, 5, {}, ("ldh", "ecog")),
    )


def test_the_trial_has_its_registry_and_its_comparators():
    plans = {plan.name: plan for plan in read_plans(paths.RECONSTRUCTION / "vision")}
    assert list(plans) == ["registry", "single-shape", "without-arpi", "unstratified"]
    assert plans["registry"].stratified_by is None
    assert plans["unstratified"].stratified_by == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"ensembles\.toml: ensembles: \[\]: write one table or more"),
        ('[[ensembles]]\nname = "a"', r"ensembles\[1\]\.chains: is missing: add it"),
        ('[[ensembles]]\nname = "A"\nchains = 1\nat_least = 1', "'A' is no name: use lower-case letters"),
        ('[[ensembles]]\nname = "a"\nchains = 2\nat_least = 3', "at_least: 3 of 2 chains"),
        ('[[ensembles]]\nname = "a"\nchains = 2\nat_least = 1\nshape = 1', "shape: is an unknown key"),
        ("[[ensembles]", r"ensembles\.toml: not readable as TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(SpecificationError, match=message):
        read_plans(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecificationError, match=r"ensembles\.toml: the file is missing"):
        read_plans(tmp_path)
