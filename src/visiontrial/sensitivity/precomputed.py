"""All assumptions on all members of the ensemble, computed once and stored: `make sensitivity`.

What is computed of a member in one analysis is a pure function of the ensemble, the member's number and the
analysis, so order and number of workers change nothing. Each such part, once finished, waits as a file under
`_build/sensitivity/<key>/`; the key is a fingerprint of everything the result depends on, so a run that was
stopped goes on where it was.

Stored are small tables (`Stored`) with a manifest that names the ensemble they were made from. Reading
refuses tables that were made from another ensemble than the one that is there.

**Confirmed by lifelines.** The compiled kernel makes the fits. Every result of the displayed cohort (a
scenario or a cell of the map), and a random hundredth of those of every other member, is made again by
lifelines, in all its imputations; the two must agree on each fit, or nothing is stored.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from visiontrial import files, paths, workers
from visiontrial.cohort import displayed, parquet, reader, store
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial
from visiontrial.cohort.verify import Analyses
from visiontrial.reconstruction import rule_of_members
from visiontrial.sensitivity import coverage, dropout, fits, pooling, scenarios, tipping
from visiontrial.sensitivity.imputation import Imputer, Times
from visiontrial.sensitivity.scenarios import ANALYSES, CONTROL, LU, SCENARIOS, Analysis

FOLDER = paths.RECONSTRUCTION / "sensitivity"
KEPT = paths.BUILD / "sensitivity"
ENSEMBLE = "registry"
REMEDY = "make sensitivity"
PURPOSE = "visiontrial: sensitivity to dropping out"
"""What all seeds are derived from."""

IMPUTATIONS = 50
CONFIRMED = 0.01
"""Share of the results that lifelines makes again; of the displayed cohort it is all of them."""

COVERAGE_TRIALS = 1000
COVERAGE_IMPUTATIONS = 20

ARMS = {"control": CONTROL, "lu": LU}
ALL_RANDOMIZED = "pfs-all"
MAPPED = tuple(name for name in ANALYSES if name != ALL_RANDOMIZED)
"""Analyses with a map of both arms' factors: those of the primary end points."""

LIBRARIES = ("lifelines", "numba", "numpy", "pandas", "scipy", "statsmodels")
_SOURCES = ("sensitivity/*.py", "survival.py", "cohort/kernel.py", "cohort/verify.py", "cohort/seeds.py")


class SensitivityError(RuntimeError):
    """The analyses cannot be made; what is stored stays as it was. The message says what to do."""


# --- one member ------------------------------------------------------------------------------------


def imputer(rows: dropout.Rows, analysis: Analysis, member: int, imputations: int = IMPUTATIONS) -> Imputer:
    """The imputer of one member in one analysis, with its fixed seed."""
    return Imputer(rows, imputations, np.random.default_rng(seed_of(PURPOSE, analysis.name, member)))


def of_member(
    trial: Trial,
    analysis: Analysis,
    member: int,
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    *,
    share: float = CONFIRMED,
) -> dict[str, pd.DataFrame]:
    """Everything that is computed of one member in one analysis, by table; see `Stored`, and `maps`.

    Tables that do not belong to the analysis are left out. `share` of the results are made again by
    lifelines. Raises `fits.FitsDiffer` where the two do not agree.
    """
    rows = analysis.rows(trial, adsl, adtte)
    drawn = imputer(rows, analysis, member)
    confirmation = _Confirmation(rows, analysis, member, share)
    made = {
        "reasons": pd.DataFrame(_reasons(rows)),
        "scenarios": pd.DataFrame(_scenarios(drawn, confirmation, analysis.alpha)),
    }
    if analysis.name in MAPPED:
        columns = tipping.Columns(drawn)
        found = tipping.grid(columns, confirmation.see)
        made["maps"] = pd.DataFrame(_cells(found, analysis))
        made["tips"] = pd.DataFrame([_tips(found, analysis.alpha)])
        made["lines"] = pd.DataFrame(_line(found, analysis.alpha))
        made["readings"] = pd.DataFrame(_readings(columns))
    made["confirmed"] = pd.DataFrame([confirmation.counts])
    for table in made.values():
        table.insert(0, "analysis", analysis.name)
    if analysis.name == ALL_RANDOMIZED:
        made["all_randomized"] = pd.DataFrame([_all_randomized(trial, analysis, adsl, adtte)])
    return made


class _Confirmation:
    """Makes some of the results again with lifelines, and counts them."""

    def __init__(self, rows: dropout.Rows, analysis: Analysis, member: int, share: float):
        self._rows = rows
        self._share = share
        self._where = f"{analysis.name}, member {member}"
        self._generator = np.random.default_rng(seed_of(PURPOSE + ": confirmed", analysis.name, member))
        self.counts = {"results": 0, "confirmed": 0, "fits": 0}

    def see(self, times: Times, ours: fits.Fits, what: str) -> None:
        """Perhaps make this result again: fit all its data sets, and require that each fit agrees."""
        self.counts["results"] += 1
        if self._generator.random() >= self._share:
            return
        theirs = fits.by_lifelines(self._rows.data, times)
        fits.require_agreement(ours, theirs, f"{self._where}, {what}")
        self.counts["confirmed"] += 1
        self.counts["fits"] += len(times.days)


def _reasons(rows: dropout.Rows) -> Iterator[dict]:
    counts = scenarios.dropouts_by_reason(rows)
    for name, arm in ARMS.items():
        mine = rows.data.arm == arm
        dropped = np.isin(np.flatnonzero(mine), rows.dropouts)
        others = ~rows.data.event[mine] & ~dropped
        yield {"arm": name, "reason": "event", "patients": int(rows.data.event[mine].sum())}
        yield {"arm": name, "reason": "cutoff", "patients": int(others.sum())}
        for reason, number in zip(dropout.REASONS, counts[arm], strict=True):
            yield {"arm": name, "reason": reason, "patients": int(number)}


def _scenarios(drawn: Imputer, confirmation: _Confirmation, alpha: float) -> Iterator[dict]:
    for scenario in SCENARIOS.values():
        times = scenario.complete(drawn)
        result = scenarios.result(drawn.rows, times)
        confirmation.see(times, result.fits, scenario.name)
        pooled = result.pooled
        upper_error = 0.0  # without imputations nothing was drawn
        if pooled.imputations > 1:
            upper_error = float(pooling.jackknife(*result.fits, lambda p: p.log_upper(alpha)))
        yield {
            "scenario": scenario.name,
            "log_ratio": pooled.log_ratio,
            "within": pooled.within,
            "between": pooled.between,
            "imputations": pooled.imputations,
            "upper_error": upper_error,
            "events_control": result.events[CONTROL],
            "events_lu": result.events[LU],
        }


def _cells(found: tipping.Grid, analysis: Analysis) -> Iterator[dict]:
    low, high = found.pooled.limits(analysis.level)
    upper, p_value = found.upper(analysis.alpha), found.pooled.p_value
    for i, lu in enumerate(found.factors):
        for j, control in enumerate(found.factors):
            yield {
                "factor_lu": lu,
                "factor_control": control,
                "ratio": found.pooled.ratio[i, j],
                "low": low[i, j],
                "high": high[i, j],
                "p_value": p_value[i, j],
                "significant": bool(upper[i, j] < 0),
            }


def _tips(found: tipping.Grid, alpha: float) -> dict[str, float]:
    errors = tipping.monte_carlo(found, alpha)
    return tipping.tipping_factors(found, alpha) | {f"{way}_error": error for way, error in errors.items()}


def _line(found: tipping.Grid, alpha: float) -> Iterator[dict]:
    for lu, control in zip(found.factors, tipping.line(found, alpha), strict=True):
        yield {"factor_lu": lu, "factor_control": control}


def _readings(columns: tipping.Columns) -> Iterator[dict]:
    for name, arm in ARMS.items():
        for number, factor in enumerate(columns.factors):
            yield {"arm": name, "factor": factor} | tipping.reading(columns, arm, number)._asdict()


def _all_randomized(
    trial: Trial, analysis: Analysis, adsl: pd.DataFrame, adtte: pd.DataFrame
) -> dict[str, float]:
    """Imaging-based PFS in all randomized patients, by lifelines; medians in months."""
    key = (analysis.paramcd, analysis.population)
    analyses = Analyses(trial, adsl, adtte)
    fit = analyses.hazard_ratio(*key)
    row = {"ratio": fit.ratio, "low": fit.limits(analysis.level)[0], "high": fit.limits(analysis.level)[1]}
    for arm in trial.arms:
        row[f"median_{arm.name}"] = analyses.curve(*key, arm.name).median().median / DAYS_PER_MONTH
        row[f"events_{arm.name}"] = float(analyses.of_arm(*key, arm.name).event.sum())
    return row


# --- what is stored ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """The stored results. All are about reconstructed patients.

    One row per member (column `member`) and ...

    scenarios       analysis and scenario: `log_ratio`, `within`, `between`, `imputations`, mean `events_*`;
                    `upper_error`, the Monte Carlo error of the log upper limit at the trial's alpha
    tips            analysis: factor at which significance is lost, by direction (`tipping.tipping_factors`);
                    `*_error`, the Monte Carlo error of its logarithm
    lines           analysis and factor of arm 1: factor of arm 0 at which significance is lost (0: never)
    reasons         analysis, arm and reason (also `event` and `cutoff`): `patients`
    confirmed       analysis: `results` (scenarios and cells of the map), how many of them were `confirmed` by
                    lifelines, and in how many `fits`
    all_randomized  imaging-based PFS in all randomized patients, by lifelines
    rules           `rule`, the rule for late deaths under which the member was made

    Ranges over the members (`*_from` and `*_to`, the 2.5% and 97.5% points, and `*_middle`), one row per ...

    maps            analysis and pair of factors: `ratio_*`, limits `low_*` and `high_*`, `p_value_*`;
                    `significant`, the share of members whose result is; `displayed_*`, the displayed cohort's
    shares          analysis, pair of factors and rule for late deaths: `significant`, among its members
    readings        analysis, arm and factor: `dropouts_*`, `events_*` among them, `months_*` to the event

    And `coverage`, the simulation of `coverage.simulate`.
    """

    scenarios: pd.DataFrame
    tips: pd.DataFrame
    lines: pd.DataFrame
    reasons: pd.DataFrame
    confirmed: pd.DataFrame
    all_randomized: pd.DataFrame
    rules: pd.DataFrame
    maps: pd.DataFrame
    shares: pd.DataFrame
    readings: pd.DataFrame
    coverage: pd.DataFrame
    manifest: Mapping[str, Any]


_BY_MEMBER = ("scenarios", "tips", "lines", "reasons", "confirmed", "all_randomized")
_RANGES = {
    "maps": (["analysis", "factor_lu", "factor_control"], ["ratio", "low", "high", "p_value"]),
    "readings": (["analysis", "arm", "factor"], ["dropouts", "events", "months"]),
}
_STORED = (*_BY_MEMBER, *_RANGES, "rules", "shares")


def read(folder: Path = FOLDER, ensemble: Path | None = None) -> Stored:
    """The stored results. `ensemble` is the folder of the ensemble, by default the stored one.

    Raises `StoreError` where a file is missing or altered, or the ensemble is another one.
    """
    contents = store.read_checked(folder, REMEDY)
    manifest = json.loads(contents[store.MANIFEST])
    now = json.loads(((ensemble or store.folder_of(ENSEMBLE)) / store.MANIFEST).read_bytes())["files"]
    if manifest["made_from"] != _identity(now):
        raise store.StoreError(
            f"{files.shown(folder)} was made from another ensemble than the one that is stored. "
            f"Make it again: {REMEDY}"
        )
    tables = {name: parquet.from_bytes(contents[f"{name}.parquet"]) for name in _STORED}
    tables["coverage"] = pd.read_csv(io.BytesIO(contents["coverage.csv"]))
    return Stored(**tables, manifest=manifest)


def _identity(recorded: Mapping[str, str]) -> dict[str, str]:
    """The checksums of the files that hold an ensemble's rows."""
    return {name: recorded[name] for name in ("adsl.parquet", "adtte.parquet")}


def make(
    *,
    members: int | None = None,
    processes: int | None = None,
    kept: Path = KEPT,
    stored: Path = FOLDER,
    coverage_trials: int = COVERAGE_TRIALS,
) -> Path:
    """Compute what is missing, store, return the folder.

    `members`, where given, takes the first so many members; then the result is stored under `kept`. Raises
    `SensitivityError` for fewer than 2, and `fits.FitsDiffer` where the kernel and lifelines disagree.
    """
    ensemble = store.read(ENSEMBLE)
    chosen = ensemble.members[:members]
    if len(chosen) < 2:
        raise SensitivityError(f"{members} members have no range: give at least 2")
    shown = displayed.read().member
    trial = reader.read(paths.RECONSTRUCTION / ensemble.trial.lower())
    waiting = kept / _key(ensemble, shown, coverage_trials)
    tasks = {
        _part(number, analysis): functools.partial(
            _packed_member,
            trial,
            analysis,
            number,
            *ensemble.member(number),
            share=1.0 if number == shown else CONFIRMED,
        )
        for number in chosen
        for analysis in ANALYSES.values()
    } | {
        f"coverage-{design.name}": functools.partial(_packed_coverage, design, coverage_trials)
        for design in coverage.DESIGNS
    }
    _run_missing(tasks, waiting, processes)
    made = {name: _unpack((waiting / f"{name}.zip").read_bytes()) for name in tasks}
    parts = [(number, made[_part(number, a)]) for number in chosen for a in ANALYSES.values()]
    simulated = pd.concat([part["coverage"] for part in made.values() if "coverage" in part])
    folder = stored if members is None else waiting / f"first-{members}"
    store.write(
        folder,
        _contents(parts, list(chosen), rule_of_members(ensemble.chains), shown, simulated),
        _manifest(ensemble, len(chosen), shown),
    )
    return folder


def _part(member: int, analysis: Analysis) -> str:
    return f"member-{member:04d}-{analysis.name}"


def _packed_member(*of: Any, share: float) -> bytes:
    return _pack(of_member(*of, share=share))


def _packed_coverage(design: coverage.Design, trials: int) -> bytes:
    return _pack({"coverage": coverage.simulate(design, trials, COVERAGE_IMPUTATIONS)})


def _run_missing(tasks: Mapping[str, workers.Task], folder: Path, processes: int | None) -> None:
    missing = [(name, task) for name, task in tasks.items() if not (folder / f"{name}.zip").exists()]
    with workers.Progress("sensitivity", len(tasks), "parts", done=len(tasks) - len(missing)) as progress:
        for name, content in workers.unordered(missing, processes):
            files.write_bytes(folder / f"{name}.zip", content)
            progress.update()


def _contents(
    parts: list[tuple[int, dict[str, pd.DataFrame]]],
    members: list[int],
    rules: pd.Series,
    shown: int,
    simulated: pd.DataFrame,
) -> dict[str, bytes]:
    stacked = {
        name: pd.concat([part[name].assign(member=number) for number, part in parts if name in part])
        for name in (*_BY_MEMBER, *_RANGES)
    }
    tables = {name: _first_member(stacked[name]) for name in _BY_MEMBER}
    tables |= {name: _ranges(stacked[name], *of) for name, of in _RANGES.items()}
    cells = ["analysis", "factor_lu", "factor_control"]
    share = stacked["maps"].groupby(cells, sort=False)["significant"].mean()
    own = stacked["maps"].query("member == @shown").set_index(cells)[_RANGES["maps"][1]]
    own = own.add_prefix("displayed_").assign(significant=share)
    tables["maps"] = tables["maps"].merge(own.reset_index(), on=cells, how="left")
    by_rule = stacked["maps"].assign(rule=stacked["maps"]["member"].map(rules))
    tables["shares"] = by_rule.groupby([*cells, "rule"], sort=False)["significant"].mean().reset_index()
    tables["rules"] = rules.loc[members].rename("rule").rename_axis("member").reset_index()
    contents = {f"{name}.parquet": parquet.to_bytes(shortened(table)) for name, table in tables.items()}
    return contents | {
        "coverage.csv": simulated.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode(),
        "README.md": _readme(len(members)).encode(),
    }


def _first_member(table: pd.DataFrame) -> pd.DataFrame:
    return table[["member", *table.columns.drop("member")]].reset_index(drop=True)


def _ranges(table: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """The reconstruction range and the median of each value over the members, one row per key."""
    lines = []
    for key, group in table.groupby(keys, sort=False):
        line = dict(zip(keys, key, strict=True))
        for value in values:
            column = group[value].to_numpy(float)
            if np.isnan(column).all():
                line |= {f"{value}_{point}": np.nan for point in ("from", "middle", "to")}
                continue
            found = reconstruction_range(column)
            middle = float(np.nanquantile(column, 0.5, method="nearest"))
            line |= {f"{value}_from": found.low, f"{value}_middle": middle, f"{value}_to": found.high}
        lines.append(line)
    return pd.DataFrame(lines)


def shortened(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is stored.

    Seven digits are more than enough for what is shown; factors keep all of theirs.
    """
    floats = [c for c in table.select_dtypes("float64") if c not in ("factor", "factor_lu", "factor_control")]
    return table.astype(dict.fromkeys(floats, np.float32))


def _manifest(ensemble: store.Ensemble, members: int, shown: int) -> dict[str, Any]:
    return {
        "content": "SYNTHETIC: sensitivity analyses of reconstructed patients. No patient's data.",
        "trial": ensemble.trial,
        "ensemble": ensemble.name,
        "made_from": _identity(ensemble.manifest["files"]),
        "members": members,
        "displayed": shown,
        "imputations": IMPUTATIONS,
        "factors": [float(f) for f in tipping.FACTORS],
        "seeds": PURPOSE,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _key(ensemble: store.Ensemble, shown: int, coverage_trials: int) -> str:
    """A fingerprint of everything that the parts depend on."""
    sources = [
        source for pattern in _SOURCES for source in sorted((paths.ROOT / "src/visiontrial").glob(pattern))
    ]
    facts = [
        _identity(ensemble.manifest["files"]),
        shown,
        coverage_trials,
        {n: version(n) for n in LIBRARIES},
    ]
    parts = [source.read_bytes() for source in sources] + [json.dumps(facts, sort_keys=True).encode()]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


def _pack(tables: Mapping[str, pd.DataFrame]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, table in tables.items():
            archive.writestr(zipfile.ZipInfo(name), parquet.to_bytes(table))
    return buffer.getvalue()


def _unpack(content: bytes) -> dict[str, pd.DataFrame]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: parquet.from_bytes(archive.read(name)) for name in archive.namelist()}


def _readme(members: int) -> str:
    return f"""# SYNTHETIC: sensitivity analyses of reconstructed patients

No patient of these tables exists. They say what assumptions about those who dropped out would do to the
hazard ratios of {members} reconstructed cohorts, all of which agree with what the trial's report prints. The
report's own sensitivity analyses stand in its supplement and are not these.

| file | content |
|---|---|
| `scenarios.parquet` | per member, analysis and assumption: log hazard ratio, its variances |
| `maps.parquet` | per analysis and pair of factors: ranges of hazard ratio, limits and P value |
| `lines.parquet`, `tips.parquet` | where significance is lost |
| `rules.parquet`, `shares.parquet` | rule for late deaths of each member; significance by rule |
| `readings.parquet` | what a factor means in patients and months |
| `reasons.parquet` | patients by reason of censoring |
| `confirmed.parquet` | how many results were made again by lifelines, in how many fits |
| `all_randomized.parquet` | imaging-based progression-free survival in all randomized patients |
| `coverage.csv` | simulated trials of known truth: how often the limits hold it |

The columns are explained in `visiontrial.sensitivity.precomputed`. Made by `make sensitivity`. Do not
edit: the checksums are compared when the files are read.
"""


def command(**options: Any) -> None:
    """Make the stored results and say in a few lines what came of it; `options` are those of `make`."""
    folder = make(**options)
    found = read(folder)
    print(f"{found.manifest['members']} members, {found.manifest['imputations']} imputations each")
    total = found.confirmed[["results", "confirmed", "fits"]].sum()
    print(f"{total.confirmed:,} of {total.results:,} results confirmed by lifelines, in {total.fits:,} fits")
    for row in found.coverage.itertuples():
        print(f"  {row.design}, {row.assumed}: {row.coverage:.1%} of {row.trials} simulated trials covered")
    print(f"stored in {files.shown(folder)}")
