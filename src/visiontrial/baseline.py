"""Table 1: who the patients were, in both analysis sets and in the earlier patients it does not show.

The analysis set for imaging-based progression-free survival (`pfs_set`, the later of the two
periods of randomization) is part of all randomized patients, so counts of the earlier ones
(`before_march_2019`) follow by subtraction. Medians and ranges do not, but they are bounded.

Arms are compared by standardized differences, never by tests: the arms were randomized.
The two periods were not, and are compared by tests.

References
----------
.. [1] Austin PC. Balance diagnostics for comparing the distribution of baseline covariates
       between treatment groups in propensity-score matched samples. Stat Med
       2009;28:3083-3107. doi 10.1002/sim.3697
.. [2] Yang D, Dalton JE. A unified approach to measuring the effect size between two groups
       using SAS. SAS Global Forum 2012, paper 335-2012.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, fisher_exact, hypergeom
from statsmodels.stats.multitest import multipletests

from visiontrial import published
from visiontrial.printed import parse, printable

ARMS = ("lu", "control")
SETS = {"pfs": "pfs_set", "all": "all_randomized", "before": "before_march_2019"}
"""The name of a set in a claim id, and in `claims.csv`; `before` is ours, by subtraction."""


class BaselineError(ValueError):
    """Printed baseline numbers that cannot belong together; the message says which."""


@dataclass(frozen=True)
class Row:
    """One categorical row of Table 1.

    `rest_of` names the rows that together with this one make up every patient: the row is
    then not printed but what they leave over.
    """

    row: str
    variable: str
    group: str
    label: str
    rest_of: tuple[str, ...] = ()


_ECOG, _SITE = "ECOG performance-status score", "Site of disease"
_GLEASON, _LOCAL = "Gleason score at diagnosis", "Local treatment"
_ARPI, _TAXANE, _DRUG = (
    "Previous androgen-receptor–pathway inhibitor",
    "Previous taxane therapy: regimens",
    "Previous taxane therapy: drugs",
)

ROWS = (
    Row("ecog-0-1", "ecog", _ECOG, "0 or 1"),
    Row("ecog-2", "ecog", _ECOG, "2", rest_of=("ecog-0-1",)),
    Row("lung", "lung", _SITE, "Lung"),
    Row("liver", "liver", _SITE, "Liver"),
    Row("lymph-node", "lymph-node", _SITE, "Lymph node"),
    Row("bone", "bone", _SITE, "Bone"),
    Row("gleason-8-10", "gleason", _GLEASON, "8–10"),
    Row("gleason-2-7", "gleason", _GLEASON, "2–7", rest_of=("gleason-8-10", "gleason-unknown")),
    Row("gleason-unknown", "gleason", _GLEASON, "Unknown"),
    Row("prostatectomy", "prostatectomy", _LOCAL, "Prostatectomy"),
    Row("arpi-1", "arpi", _ARPI, "One regimen"),
    Row("arpi-2", "arpi", _ARPI, "Two regimens"),
    Row("arpi-more-than-2", "arpi", _ARPI, "More than two regimens"),
    Row("taxane-1", "taxane", _TAXANE, "One regimen"),
    Row("taxane-2", "taxane", _TAXANE, "Two regimens"),
    Row("taxane-more-than-2", "taxane", _TAXANE, "More than two", rest_of=("taxane-1", "taxane-2")),
    Row("docetaxel", "docetaxel", _DRUG, "Docetaxel"),
    Row("cabazitaxel", "cabazitaxel", _DRUG, "Cabazitaxel"),
)
"""The categorical rows in the paper's order. Rows of one `variable` exclude each other."""

MEASURES = {
    "age": ("Age", "yr"),
    "psa": ("PSA level", "ng/ml"),
    "alkaline-phosphatase": ("Alkaline phosphatase level", "IU/l"),
    "ldh": ("LDH", "IU/l"),
    "time-since-diagnosis": ("Time since diagnosis", "yr"),
}
"""The continuous rows: claim id, label and unit."""

LAST_TAXANE = ("therapeutic", "adjuvant", "unknown", "neoadjuvant", "maintenance", "other", "prophylaxis")
"""The reasons for the last taxane that the footnote lists, over all randomized patients."""


# --- counts ------------------------------------------------------------------------------


def counts() -> pd.DataFrame:
    """The categorical rows of Table 1, three sets by two arms, one line per cell.

    Columns: `row`, `variable`, `group`, `label`, `analysis_set`, `arm`, `count`, `n`,
    `percent` (of `n`, unrounded) and `origin`: `printed`, `complement` (what the printed rows
    of the variable leave over) or `subtracted` (all randomized minus the PFS set).
    """
    lines = [line for name in ("pfs", "all") for row in ROWS for line in _printed_lines(row, name)]
    both = pd.DataFrame(lines)
    table = pd.concat([both, subtract(both)], ignore_index=True)
    return table.assign(percent=100 * table["count"] / table["n"])


def subtract(both: pd.DataFrame) -> pd.DataFrame:
    """The patients of `all_randomized` who are not in `pfs_set`, line by line.

    `both` has columns `row`, `analysis_set`, `arm`, `count`, `n` (others are carried along).
    Raises `BaselineError` when the smaller set has more patients, with or without the
    characteristic, than the larger one.
    """
    keys = ["row", "arm"]
    whole = both[both["analysis_set"] == "all_randomized"].set_index(keys)
    part = both[both["analysis_set"] == "pfs_set"].set_index(keys).loc[whole.index]
    count, n = whole["count"] - part["count"], whole["n"] - part["n"]
    if (wrong := (count < 0) | (count > n)).any():
        row, arm = wrong.idxmax()
        raise BaselineError(
            f"{row}, {arm}: {part.at[(row, arm), 'count']} of {part.at[(row, arm), 'n']} cannot be part of "
            f"{whole.at[(row, arm), 'count']} of {whole.at[(row, arm), 'n']}"
        )
    rest = whole.assign(analysis_set="before_march_2019", count=count, n=n, origin="subtracted")
    return rest.reset_index()[list(both.columns)]


def _printed_lines(row: Row, name: str) -> Iterator[dict]:
    for arm in ARMS:
        n = published.value(f"table1.n.{name}.{arm}")
        known = [published.value(f"table1.{r}.{name}.{arm}.count") for r in row.rest_of or (row.row,)]
        yield {
            **{field: getattr(row, field) for field in ("row", "variable", "group", "label")},
            "analysis_set": SETS[name],
            "arm": arm,
            "count": n - sum(known) if row.rest_of else known[0],
            "n": n,
            "origin": "complement" if row.rest_of else "printed",
        }


def size(table: pd.DataFrame, analysis_set: str, arm: str) -> int:
    """How many patients one arm of one set has."""
    return int(table.loc[(table["analysis_set"] == analysis_set) & (table["arm"] == arm), "n"].iloc[0])


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """The same lines with the two arms added up: columns as in `counts`, without `arm` and `origin`."""
    keys = ["row", "variable", "group", "label", "analysis_set"]
    both = table.groupby(keys, sort=False)[["count", "n"]].sum().reset_index()
    return both.assign(percent=100 * both["count"] / both["n"])


def count_behind(percent: str, n: int) -> int:
    """The only whole number out of `n` that prints as this percent.

    Raises `BaselineError` when there is none, or more than one.
    """
    values = parse(percent).interval(exact=False).scaled(Fraction(n, 100))
    found = printable(values, parse("0"), exact=True)
    if found.count != 1:
        raise BaselineError(f"{percent}% of {n}: {found.text} could stand behind it, not one number")
    return int(found.lowest)


def printed_percents(table: pd.DataFrame) -> dict[str, float]:
    """Claim id -> the percent recomputed from its count, for every percent in the body of Table 1."""
    return {f"{stem}.percent": 100 * count / n for stem, count, n in _printed_cells(table)}


def printed_counts(table: pd.DataFrame) -> dict[str, int]:
    """Claim id -> the count recomputed from its percent, for every count in the body of Table 1."""
    return {
        f"{stem}.count": count_behind(published.printed(f"{stem}.percent"), n)
        for stem, _, n in _printed_cells(table)
    }


def _printed_cells(table: pd.DataFrame) -> Iterator[tuple[str, int, int]]:
    short = {analysis_set: name for name, analysis_set in SETS.items()}
    for line in table[table["origin"] == "printed"].itertuples():
        yield f"table1.{line.row}.{short[line.analysis_set]}.{line.arm}", line.count, line.n


def last_taxane_reasons() -> pd.Series:
    """Patients by the reason for their last taxane, all randomized, from the footnote of Table 1."""
    return pd.Series(
        {r: published.value(f"table1.footnote.last-taxane.{r}.count") for r in LAST_TAXANE}, name="patients"
    )


def overlap(first: int, second: int, n: int) -> tuple[int, int]:
    """The least and the greatest number of patients who can have both of two characteristics.

    `first` and `second` of `n` patients have one each. These are the bounds of Fréchet: a
    table of margins says no more about a combination.
    """
    return max(0, first + second - n), min(first, second)


# --- medians and ranges ------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A median with its range, as printed characters; each may carry `≤` or `≥`, and the median be empty."""

    median: str
    low: str
    high: str

    @property
    def range(self) -> str:
        """Both ends as one reads them: `52–94`, `48 to ≤94`."""
        bounded = any(end.startswith(("≤", "≥")) for end in (self.low, self.high))
        return f"{self.low}{' to ' if bounded else '–'}{self.high}"


def spread(measure: str, name: str, arm: str) -> Spread:
    """What Table 1 prints for a continuous row; `name` is `pfs` or `all`."""
    stem = f"table1.{measure}.{name}.{arm}"
    return Spread(*(published.printed(f"{stem}.{part}") for part in ("median", "low", "high")))


def earlier_spread(whole: Spread, later: Spread) -> Spread:
    """What is known of the patients of `whole` who are not in `later`.

    Their extreme value is the whole's where the later patients do not reach it, and lies
    inside the later patients' range (`≥`, `≤`) where they do. Their median lies beyond the
    whole's, on the other side from the later patients', because the median of a whole is
    never outside the medians of its two parts. Equal medians say nothing.

    Raises `BaselineError` when the later patients reach further than the whole.
    """
    return Spread(
        median=_earlier_median(parse(whole.median).value, parse(later.median).value, whole.median),
        low=_earlier_end(whole.low, later.low, "≥", 1),
        high=_earlier_end(whole.high, later.high, "≤", -1),
    )


def _earlier_median(whole: Fraction, later: Fraction, text: str) -> str:
    if whole == later:
        return ""
    return ("≤" if later > whole else "≥") + text


def _earlier_end(whole: str, later: str, sign: str, inward: int) -> str:
    difference = (parse(later).value - parse(whole).value) * inward
    if difference < 0:
        raise BaselineError(f"a range that reaches {later} cannot be part of one that ends at {whole}")
    return whole if difference else sign + whole


def spread_of(measure: str, analysis_set: str, arm: str) -> Spread:
    """The median and range of a continuous row in any of the three sets, bounded for the earlier patients."""
    whole, later = spread(measure, "all", arm), spread(measure, "pfs", arm)
    return {
        "all_randomized": whole,
        "pfs_set": later,
        "before_march_2019": earlier_spread(whole, later),
    }[analysis_set]


# --- balance between the arms --------------------------------------------------------------


def standardized_difference(treated: float, control: float) -> float:
    """The standardized difference of two proportions, treated minus control (Austin 2009 [1]_).

    (p1 − p0) / √((p1(1 − p1) + p0(1 − p0)) / 2). Two equal proportions differ by 0, also
    where both are 0 or both are 1 and the formula is 0/0; one of 0 against one of 1 is
    infinitely far.
    """
    if treated == control:
        return 0.0
    variance = (treated * (1 - treated) + control * (1 - control)) / 2
    if not variance:
        return math.copysign(math.inf, treated - control)
    return (treated - control) / math.sqrt(variance)


def multilevel_difference(treated: Sequence[float], control: Sequence[float]) -> float:
    """The standardized difference of a characteristic with several levels (Yang and Dalton 2012 [2]_).

    √(dᵀ S⁻¹ d): d the differences of the proportions, S the mean of the two multinomial
    covariance matrices, both without one level (which one does not matter). It has no sign.
    With two levels it is the size of `standardized_difference`. A level that nobody has in
    either group is left out; where S is singular the pseudoinverse takes the place of S⁻¹.

    `treated` and `control` are proportions that sum to 1, one per level.
    """
    p, q = np.asarray(treated, dtype=float), np.asarray(control, dtype=float)
    if not (math.isclose(p.sum(), 1) and math.isclose(q.sum(), 1)):
        raise ValueError(f"proportions must sum to 1, and sum to {p.sum():g} and {q.sum():g}")
    present = (p > 0) | (q > 0)
    p, q = p[present][1:], q[present][1:]
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    difference = p - q
    return math.sqrt(max(0.0, float(difference @ np.linalg.pinv(covariance, hermitian=True) @ difference)))


def balance(table: pd.DataFrame) -> pd.DataFrame:
    """How the arms differ, row by row and set by set.

    Columns: those that name the row, `analysis_set`, `count_lu`, `n_lu`, `percent_lu` and the
    like for `control`, and `smd`: the standardized difference of the row's proportion
    (`standardized_difference`), positive where the 177Lu-PSMA-617 arm has more of it.
    """
    keys = ["row", "variable", "group", "label", "analysis_set"]
    wide = table.pivot(index=keys, columns="arm", values=["count", "n", "percent"])
    wide.columns = [f"{value}_{arm}" for value, arm in wide.columns]
    whole = {column: int for column in wide if not column.startswith("percent")}
    wide = wide.loc[list(table.set_index(keys).index.unique())].astype(whole).reset_index()
    pairs = zip(wide["percent_lu"] / 100, wide["percent_control"] / 100, strict=True)
    return wide.assign(smd=[standardized_difference(p, q) for p, q in pairs])


def balance_by_variable(table: pd.DataFrame) -> pd.DataFrame:
    """One standardized difference per characteristic and set, without sign: `multilevel_difference`.

    Index: `variable`, in the paper's order; columns: the analysis sets.
    """
    return pd.DataFrame(
        {
            analysis_set: {v: multilevel_difference(*_shares(cells)) for v, cells in _variables(in_set)}
            for analysis_set, in_set in table.groupby("analysis_set", sort=False)
        }
    )


def _variables(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    return iter(table.groupby("variable", sort=False))


def _shares(cells: pd.DataFrame) -> tuple[list[float], list[float]]:
    treated, control = (list(cells.loc[cells["arm"] == arm, "percent"] / 100) for arm in ARMS)
    if len(treated) == 1:  # a single row is a yes whose no goes without saying
        return [1 - treated[0], treated[0]], [1 - control[0], control[0]]
    return treated, control


def chance_of_exceeding(threshold: float, count: int, n_treated: int, n_control: int) -> float:
    """How often randomization alone leaves a standardized difference beyond a threshold, in size.

    `count` of the `n_treated` + `n_control` patients have the characteristic; every way of
    dealing them out is equally likely (hypergeometric: complete randomization without strata).
    """
    law = hypergeom(n_treated + n_control, count, n_treated)
    low, high = law.support()
    treated = np.arange(low, high + 1)
    sizes = [abs(standardized_difference(k / n_treated, (count - k) / n_control)) for k in treated]
    return float(law.pmf(treated)[np.array(sizes) > threshold].sum())


# --- the two periods -------------------------------------------------------------------------


def period_tests(table: pd.DataFrame, multiplicity_method: str, alpha: float) -> pd.DataFrame:
    """Test each characteristic: the earlier period against the later, both arms together.

    Fisher's exact test, two-sided (`scipy.stats.fisher_exact`), where a characteristic is a
    yes or no; Pearson's chi-square test without correction (`scipy.stats.chi2_contingency`)
    where it has more levels. P values are adjusted over all characteristics by
    `statsmodels.stats.multitest.multipletests` with `method=multiplicity_method`.

    Index: `variable`; columns: `test`, `levels`, `smallest_expected`, `p`, `p_adjusted`,
    `rejected` (at familywise or false-discovery level `alpha`, as the method has it).
    """
    rows = {v: _period_test(cells) for v, cells in _variables(pooled(table))}
    tests = pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable")
    rejected, adjusted, *_ = multipletests(tests["p"], alpha=alpha, method=multiplicity_method)
    return tests.assign(p_adjusted=adjusted, rejected=rejected)


def _period_test(cells: pd.DataFrame) -> dict:
    groups = [cells[cells["analysis_set"] == s] for s in ("before_march_2019", "pfs_set")]
    observed = np.array([_levels(group) for group in groups])
    chi_square = chi2_contingency(observed, correction=False)
    binary = observed.shape[1] == 2
    return {
        "test": "Fisher exact" if binary else "Pearson chi-square",
        "levels": observed.shape[1],
        "smallest_expected": float(chi_square.expected_freq.min()),
        "p": float(fisher_exact(observed).pvalue if binary else chi_square.pvalue),
    }


def _levels(group: pd.DataFrame) -> list[int]:
    found = list(group["count"])
    return found if len(found) > 1 else [found[0], int(group["n"].iloc[0]) - found[0]]


def name_of(variable: str) -> str:
    """How a characteristic is called where it stands alone: its group's name, or its row's."""
    rows = [row for row in ROWS if row.variable == variable]
    if len(rows) > 1:
        return rows[0].group
    return f"{rows[0].group}: {rows[0].label.lower()}" if rows[0].group == _SITE else rows[0].label
