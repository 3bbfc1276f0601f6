"""Tables of everything about time, in the language of `figures.survival`: months, rules, whose patients.

Every table of this room is of reconstructed patients and says so in its caption, which `captioned`
makes. An estimate of the displayed cohort stands there by name; what the paper does not print is a
reconstruction range over the ensemble.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

import great_tables as gt
import pandas as pd

from visiontrial import efficacy, published, survival, tables
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.efficacy import Analysis, Reconstruction
from visiontrial.figures.survival import COUNTS, NOTICE, SHORT_NAMES, arm_name, level, months
from visiontrial.printed import as_printed

DISPLAYED = "the displayed cohort"
ALPHA = 0.05
"""Of the tests of proportional hazards that are counted over an ensemble."""

EVERY_DEATH = "count"
"""Name of the rule by which a death counts as the first event however long after the last scan."""

_NUMBER = r"[<-]?\d"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def captioned(what: str, of: str = DISPLAYED) -> str:
    """The caption of a table of reconstructed patients: what it shows, and of whom.

    For example `Medians. Reconstructed patients, not the trial's data: the displayed cohort.`
    """
    return f"{what}. {NOTICE}: {of}."


def every_cohort(reconstruction: Reconstruction) -> str:
    """For captions: `all 296 cohorts that agree with the paper`."""
    return f"all {reconstruction.cohorts} cohorts that agree with the paper"


def readable(text: str) -> str:
    """Powers of ten as they are written by hand: `P = 5.2e-11` becomes `P = 5.2 × 10⁻¹¹`, on one line."""
    return re.sub(r"(?<=\d)e([+-]?)0*(\d+)", _power_of_ten, text)


def _power_of_ten(found: re.Match[str]) -> str:
    exponent = f"{found[1].strip('+')}{found[2]}".translate(_SUPERSCRIPT)
    return f"\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{exponent}"


def table(
    frame: pd.DataFrame,
    name: str,
    what: str,
    of: str = DISPLAYED,
    *,
    rows: str = "",
    note: str = "",
    under: Mapping[str, Sequence[str]] | None = None,
    headings: Mapping[str, str] | None = None,
) -> tables.Printable:
    """A table of reconstructed patients.

    frame     one row per line, its index the line's name; cells are text or whole numbers
    name      stable slug: the id on the page is `table-<name>`
    what, of  see `captioned`
    rows      the heading over the lines' names
    note      stands below: the rule, what a column means
    under     columns that share a heading, by that heading
    headings  of columns whose names are not to be read
    """
    named = frame.map(lambda cell: readable(str(cell))).rename(index=str).rename_axis("row").reset_index()
    numbers = [c for c in named.columns[1:] if named[c].str.match(_NUMBER).all()]
    made = gt.GT(named, rowname_col="row").tab_stubhead(rows).cols_align("left")
    made = made.cols_align("right", numbers) if numbers else made
    for heading, spanned in (under or {}).items():
        made = made.tab_spanner(heading, list(spanned))
    made = made.cols_label(**headings) if headings else made
    made = made.tab_source_note(note) if note else made
    return tables.printable(made, name, captioned(what, of))


def results(
    found: Mapping[str, survival.Statistic], name: str, what: str, of: str = DISPLAYED
) -> tables.Printable:
    """Results with the rule of each beside it, one line per result."""
    lines = {label: (result.finding, result.rule) for label, result in found.items()}
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["Result", "Rule"])
    return table(frame, name, what, of, rows="Analysis")


def ratios(found: Mapping[str, survival.HazardRatio], name: str, what: str) -> tables.Printable:
    """Hazard ratios of the displayed cohort with their limits and rules, one line each, at one level."""
    share = next(iter(found.values())).level
    lines = {
        label: (*(as_printed(v, 4) for v in (one.ratio, one.low, one.high)), one.rule)
        for label, one in found.items()
    }
    columns = ["Hazard ratio", "Lower", "Upper", "Rule"]
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    return table(frame, name, f"{what}, with limits at {level(share)}", rows="Analysis")


def medians(
    reconstruction: Reconstruction, found: Mapping[str, survival.Median], name: str, what: str
) -> tables.Printable:
    """Medians of the displayed cohort in months with their limits, one line per arm; `found`: by arm."""
    lines = {
        arm_name(reconstruction.trial, arm): (months(found[arm].median), _limits(found[arm]))
        for arm in reversed(found)
    }
    first = next(iter(found.values()))
    frame = pd.DataFrame.from_dict(
        lines, orient="index", columns=["Months", f"{level(first.level)} confidence limits"]
    )
    return table(frame, name, what, rows="Arm", note=_sentence(first.rule))


def _limits(one: survival.Median) -> str:
    return f"{months(one.low)} to {months(one.high)}"


def _sentence(rule: str) -> str:
    return f"{rule[0].upper()}{rule[1:]}."


def counts(analysis: Analysis, at: Sequence[float], name: str) -> tables.Printable:
    """At risk, events and censorings of the displayed cohort at some months, counted directly."""
    days = [month * DAYS_PER_MONTH for month in at]
    by_arm = {arm: survival.counted(analysis.of_arm(arm), days) for arm in reversed(analysis.arms)}
    frame = pd.concat(
        [found.add_suffix(f".{arm}").set_axis(list(at)) for arm, found in by_arm.items()], axis=1
    )
    return table(
        frame,
        name,
        "Patients at risk at each month, and events and censorings by its end",
        rows="Month",
        note="Counted directly from the rows of one cohort of many.",
        under={SHORT_NAMES.get(arm, (arm,))[0]: [f"{c}.{arm}" for c in COUNTS] for arm in by_arm},
        headings={f"{c}.{arm}": heading for arm in by_arm for c, heading in COUNTS.items()},
    )


def endings(rows: pd.DataFrame, name: str) -> tables.Printable:
    """What a row of ADTTE can be: the displayed cohort's first row of each kind of ending."""
    first = rows.drop_duplicates("EVNTDESC").sort_values(["CNSR", "EVNTDESC"]).set_index("USUBJID")
    frame = pd.DataFrame(
        {
            "Days": first["AVAL"],
            "Ends with": first["CNSR"].map({0: "the event", 1: "a censoring"}),
            "Namely": first["EVNTDESC"],
        }
    )
    return table(
        frame, name, "One row of each kind", rows="Patient", note="In the file: AVAL, CNSR, EVNTDESC."
    )


def agreement(reconstruction: Reconstruction, agreed: pd.DataFrame, name: str) -> tables.Printable:
    """In how many cohorts each printed statistic comes out; `agreed` is `efficacy.agreement(...)`."""
    frame = agreed.set_axis(["Printed", "Lowest", "Highest", "Print alike"], axis=1)
    frame = frame.rename(index=lambda claim_id: f"{published.in_words(claim_id)}\n{claim_id}")
    what = "Printed statistics over the cohorts, by lifelines and statsmodels"
    return table(frame, name, what, every_cohort(reconstruction), rows="Claim")


def restricted_means(found: efficacy.MeanGain, reconstruction: Reconstruction, name: str) -> tables.Printable:
    """A difference of restricted means with its two uncertainties, one line each."""
    low, high, half = (as_printed(value, 1) for value in (found.low, found.high, found.half))
    lines = {
        "Reconstruction range": f"{low} to {high}",
        f"Sampling: half of a {level(found.level)} confidence interval": half,
    }
    return table(
        pd.DataFrame({"Months": lines}),
        name,
        f"Difference of the restricted means at {found.months:g} months, and its two uncertainties",
        f"{_defining(found.members, reconstruction)}; for the sampling, {DISPLAYED}",
        rows="Uncertainty",
        note=_sentence(found.rule),
    )


def _defining(members: int, reconstruction: Reconstruction) -> str:
    if members == reconstruction.cohorts:
        return every_cohort(reconstruction)
    return (
        f"{members} of {reconstruction.cohorts} cohorts that agree with the paper (in the others a curve "
        "ends before)"
    )


def proportionality(
    models: Mapping[str, pd.DataFrame], paramcd: str, population: str, name: str
) -> tables.Printable:
    """The test of proportional hazards over one or more ensembles, one line per ensemble.

    `models`: the stored quantities of an ensemble (`derived.quantities`) by the reader's word for it.
    """
    lines = {}
    for label, quantities in models.items():
        p_values, slopes = (quantities[f"{paramcd}.{population}.{kind}"] for kind in ("ph_p", "ph_slope"))
        lines[label] = (len(p_values), int((p_values < ALPHA).sum()), int((slopes > 0).sum()))
    below, rising = f"Test below {ALPHA}", "Ratio rises with time"
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["Cohorts", below, rising])
    what = "Proportional hazards: in how many cohorts the test rejects, and the ratio rises"
    rule = survival.Proportionality.rule
    return table(frame, name, what, "cohorts that agree with the paper", rows="Model", note=_sentence(rule))


def two_cutoffs(
    reconstruction: Reconstruction, analyses: Mapping[str, Analysis], name: str
) -> tables.Printable:
    """One end point of the displayed cohort at several cutoffs; `analyses`: by the heading of a column."""
    columns = {heading: dict(_at_a_cutoff(reconstruction, one)) for heading, one in analyses.items()}
    what = "Survival and follow-up by the data cutoff, medians in months"
    return table(pd.DataFrame(columns), name, what, rows="Quantity")


def _at_a_cutoff(reconstruction: Reconstruction, analysis: Analysis) -> Iterator[tuple[str, str]]:
    yield "Deaths", str(int(analysis.data.event.sum()))
    yield "Hazard ratio", as_printed(analysis.hazard_ratio.ratio, 3)
    yield "Standard error of its logarithm", as_printed(analysis.hazard_ratio.se, 4)
    for what, found in (("Median survival", analysis.medians), ("Median follow-up", analysis.followup)):
        for arm in reversed(analysis.arms):
            yield f"{what}: {arm_name(reconstruction.trial, arm)}", months(found[arm].median)


def by_late_deaths(
    parted: Mapping[str, pd.DataFrame], reconstruction: Reconstruction, name: str
) -> tables.Printable:
    """Deaths among the first events by the rule for late deaths, one line per rule.

    `parted`: by rule, the `deaths` and `others` of its members (rows), as from `reconstruction.by_rule`.
    """
    lines = {
        "Every death counts" if rule == EVERY_DEATH else f"Only {rule} of the last scan": (
            len(kinds),
            span(100 * kinds["deaths"] / kinds.sum(axis=1)),
        )
        for rule, kinds in parted.items()
    }
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["Cohorts", "Deaths, %"])
    what = "Deaths among the first events, reconstruction range by the rule for late deaths"
    note = "The text does not name the rule; the search tries both."
    return table(frame, name, what, every_cohort(reconstruction), rows="Deaths long after a scan", note=note)


def limits_by_transform(
    found: pd.DataFrame, reconstruction: Reconstruction, share: float, name: str
) -> tables.Printable:
    """Limits of the medians by the transform; `found` is `efficacy.limits_by_transform` at `share`."""
    arms = found.columns.unique(level="arm")
    cells = {
        arm_name(reconstruction.trial, arm): [
            f"{_tenths(row.low)} to {_tenths(row.high)}" for row in found[arm].itertuples()
        ]
        for arm in arms
    }
    what = f"Limits of the medians in months, {level(share)}, by the transform"
    return table(pd.DataFrame(cells, index=found.index), name, what, rows="Transform")


def _tenths(value: float) -> str:
    return "not reached" if math.isinf(value) else as_printed(float(value), 1)


def span(values: pd.Series, decimals: int = 0) -> str:
    """The reconstruction range of a finite quantity over the cohorts in words: `304 to 429`."""
    found = reconstruction_range(values)
    return " to ".join(as_printed(float(end), decimals) for end in (found.low, found.high))
