"""How fast the compiled kernel is beside lifelines, statsmodels and R: `make bench`.

All programs analyse the same made-up trial (831 patients, 16 strata, arms 2:1, whole days up to
970, about 570 events, fixed seed), side by side in alternating rounds. A time is processor time,
which other work on the machine disturbs least, and the median of its rounds. A result that
differs from the kernel's stops the benchmark. Nothing here is a test: times belong to a machine.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import median_survival_times
from statsmodels.duration.survfunc import survdiff

from visiontrial.cohort import kernel

SEED = 20210623
PATIENTS, STRATA, LAST_DAY = 831, 16, 970
ROUNDS = 5
SIZES = (1_000, 10_000, 100_000, 1_000_000)

# R times many repetitions at once, because its clock counts in milliseconds. One line for each
# function: name, seconds for one call, result.
R_SCRIPT = """
suppressPackageStartupMessages(library(survival))
d <- read.csv(commandArgs(trailingOnly = TRUE)[1])
y <- Surv(d$day, d$event)
x <- matrix(as.double(d$arm))
rows <- as.character(seq_len(nrow(d)))
one <- function(name, times, result, call) {
  invisible(call())
  used <- system.time(for (i in seq_len(times)) call())
  seconds <- (used[["user.self"]] + used[["sys.self"]]) / times
  cat(name, format(c(seconds, result(call())), digits = 15), "\\n")
}
one("coxph", 40, function(f) coef(f), function() coxph(y ~ arm + strata(stratum), d, ties = "efron"))
one("coxph.fit", 200, function(f) f$coefficients, function()
  coxph.fit(x, y, d$stratum, NULL, NULL, coxph.control(), NULL, "efron", rows))
one("survdiff", 40, function(f) f$chisq, function() survdiff(y ~ arm + strata(stratum), d))
one("survfit", 40, function(q) q$quantile, function()
  quantile(survfit(y ~ 1, conf.type = "log-log"), 0.5))
"""


class Call(NamedTuple):
    """A statistic computed by one program: the call, how it gives one number, repetitions in a round."""

    compute: Callable[[], float]
    repetitions: int


class Comparison(NamedTuple):
    """The kernel's call, the other program's, and how many times faster the kernel is meant to be."""

    what: str
    ours: str
    theirs: str
    aim: int | None = None


COMPARISONS = [
    Comparison("Cox, stratified, Efron", "kernel.cox", "lifelines CoxPHFitter", 4_000),
    Comparison("", "kernel.cox", "R coxph", 100),
    Comparison("", "kernel.cox", "R coxph.fit, bare", 8),
    Comparison("log-rank, stratified", "kernel.log_rank", "statsmodels survdiff"),
    Comparison("", "kernel.log_rank", "R survdiff"),
    Comparison("median with limits", "kernel.median", "lifelines KaplanMeierFitter"),
    Comparison("", "kernel.median", "R survfit, quantile"),
]
NAMES_IN_R = {
    "coxph": "R coxph",
    "coxph.fit": "R coxph.fit, bare",
    "survdiff": "R survdiff",
    "survfit": "R survfit, quantile",
}


def trial(patients: int) -> pd.DataFrame:
    """A made-up trial: exponential times with a rate for each stratum, censored between days 450 and 970."""
    random = np.random.default_rng(SEED)
    arm = (random.random(patients) < 2 / 3).astype(np.int64)
    stratum = random.integers(0, STRATA, patients)
    rate = 0.0022 * np.where(arm, 0.62, 1.0) * np.linspace(0.6, 1.6, STRATA)[stratum]
    survival = random.exponential(1 / rate)
    censoring = random.uniform(450, LAST_DAY, patients)
    day = np.ceil(np.minimum(survival, censoring)).astype(np.int64)
    return pd.DataFrame({"day": day, "event": survival <= censoring, "arm": arm, "stratum": stratum})


def calls(table: pd.DataFrame) -> dict[str, Call]:
    """What runs in this process. Inputs are prepared beforehand for every program alike."""
    day, event, arm, stratum = (table[column].to_numpy() for column in ("day", "event", "arm", "stratum"))
    status = event.astype(np.int64)

    def lifelines_cox() -> float:
        return CoxPHFitter().fit(table, "day", "event", strata=["stratum"]).params_["arm"]

    def lifelines_median() -> float:
        curve = KaplanMeierFitter().fit(day, event)
        median_survival_times(curve.confidence_interval_)
        return curve.median_survival_time_

    return {
        "kernel.cox": Call(lambda: kernel.cox(day, event, arm, stratum).log_hazard_ratio, 1_000),
        "kernel.log_rank": Call(lambda: kernel.log_rank(day, event, arm, stratum).chi_square, 1_000),
        "kernel.median": Call(lambda: kernel.median(day, event).median, 1_000),
        "lifelines CoxPHFitter": Call(lifelines_cox, 1),
        "lifelines KaplanMeierFitter": Call(lifelines_median, 5),
        "statsmodels survdiff": Call(lambda: survdiff(day, status, arm, strata=stratum)[0], 5),
    }


def in_r(rscript: str, table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Seconds and result of each of R's functions on the same rows; empty where survival is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        rows, script = Path(folder, "rows.csv"), Path(folder, "time.R")
        table.astype(np.int64).to_csv(rows, index=False)
        script.write_text(R_SCRIPT)
        done = subprocess.run([rscript, "--vanilla", script, rows], capture_output=True, text=True)
    if "no package called" in done.stderr:
        return {}
    if done.returncode:
        sys.exit(f"R failed:\n{done.stderr}")
    lines = (line.split() for line in done.stdout.splitlines())
    return {NAMES_IN_R[name]: (float(seconds), float(result)) for name, seconds, result in lines}


def side_by_side(table: pd.DataFrame) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Processor seconds for one call in each round, and results, by name."""
    rscript = shutil.which("Rscript")
    times: dict[str, list[float]] = {}
    results: dict[str, float] = {}
    here = calls(table)
    for name, call in here.items():
        results[name] = float(call.compute())  # also compiles
    for _ in range(ROUNDS):
        for name, call in here.items():
            seconds = timeit.timeit(call.compute, timer=process_time, number=call.repetitions)
            times.setdefault(name, []).append(seconds / call.repetitions)
        for name, (seconds, result) in (in_r(rscript, table) if rscript else {}).items():
            times.setdefault(name, []).append(seconds)
            results[name] = result
    return times, results


def require_same_results(results: dict[str, float]) -> None:
    """A wrong answer has no speed. lifelines and R stop their iterations early, hence the tolerance."""
    for comparison in COMPARISONS:
        ours, theirs = results[comparison.ours], results.get(comparison.theirs)
        if theirs is not None and not math.isclose(ours, theirs, rel_tol=1e-6):
            sys.exit(f"{comparison.ours} gives {ours!r}, but {comparison.theirs} gives {theirs!r}")


def comparison_lines(times: dict[str, list[float]]) -> list[str]:
    """The table of ratios."""
    line = "{:<24}{:<29}{:>10}{:>12}{:>9}{:>8}  {}".format
    lines = [line("what", "beside", "ours, ms", "theirs, ms", "ratio", "aim", "")]
    for what, ours, theirs, aim in COMPARISONS:
        if theirs not in times:
            continue
        here, there = statistics.median(times[ours]), statistics.median(times[theirs])
        ratio = there / here
        verdict = "" if aim is None else "met" if ratio >= aim else "not met"
        aimed = "" if aim is None else f"{aim:,}×"
        figures = f"{here * 1e3:.4f}", f"{there * 1e3:.3f}", f"{ratio:,.0f}×"
        lines.append(line(what, theirs, *figures, aimed, verdict).rstrip())
    return lines


def linearity_lines() -> list[str]:
    """Time per row of the Cox model as rows grow a thousandfold, and the growth's exponent (1: linear).

    The steps for a row are the same in any number of rows. What exceeds 1 is memory: a million
    rows do not fit the processor's nearest caches.
    """
    seconds = []
    for size in SIZES:
        day, event, arm, stratum = (column.to_numpy() for _, column in trial(size).items())
        repetitions = max(1, 100_000 // size)
        timed = timeit.repeat(
            lambda: kernel.cox(day, event, arm, stratum),  # noqa: B023 -- called at once
            timer=process_time,
            number=repetitions,
            repeat=ROUNDS,
        )
        seconds.append(statistics.median(timed) / repetitions)
    exponent = np.polyfit(np.log(SIZES), np.log(seconds), 1)[0]
    lines = ["{:>10}{:>14}{:>16}".format("rows", "cox, ms", "ns for a row")]
    lines += [
        f"{size:>10,}{second * 1e3:>14.3f}{second / size * 1e9:>16.1f}"
        for size, second in zip(SIZES, seconds, strict=True)
    ]
    return [*lines, f"The time grows as rows to the power {exponent:.2f}."]


def main() -> None:
    table = trial(PATIENTS)
    times, results = side_by_side(table)
    require_same_results(results)
    events = table["event"].sum()
    print(f"{len(table)} patients, {STRATA} strata, {events} events; medians of {ROUNDS} rounds\n")
    print("\n".join(comparison_lines(times)))
    if not any(name in times for name in NAMES_IN_R.values()):
        print("R is left out: Rscript with the package survival was not found.")
        print("On Debian and Ubuntu: apt-get install r-base-core r-cran-survival")
    print()
    print("\n".join(linearity_lines()))


if __name__ == "__main__":
    main()
