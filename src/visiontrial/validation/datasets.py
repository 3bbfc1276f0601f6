"""Patient-level data of real trials, as the packages that carry them give them.

R's `survival` (Debian: r-cran-survival) is asked through `Rscript`; lifelines and scikit-survival
carry their files with them. None of them is needed to read the book: `make validate` needs them.

Days are whole and begin with 1: a time of 0 (an event on the day of randomization) is day 1.
"""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy.io import arff

DAYS_PER_YEAR = 365.25

Package = Literal["R survival", "lifelines", "scikit-survival"]


class DataMissing(RuntimeError):
    """A package that carries a data set is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Known:
    """What a data set really is, from its package's documentation and a look at its rows.

    `randomized`: whether chance decided the arms. `used`: whether a comparison is made from it,
    and if not, why not.
    """

    name: str
    package: Package
    patients: int
    randomized: bool
    what: str
    used: str


INVENTORY = (
    Known("colon", "R survival", 929, True,
          "Adjuvant levamisole, with or without fluorouracil, against observation after resection of colon "
          "cancer; three arms; two rows a patient, recurrence and death", "yes"),
    Known("pbc", "R survival", 418, True,
          "Penicillamine against placebo in primary biliary cirrhosis; the last 106 patients were not "
          "randomized and are left out; transplantation censors", "yes"),
    Known("udca", "R survival", 170, True,
          "Ursodeoxycholic acid against placebo in primary biliary cirrhosis; dates are given", "yes"),
    Known("rhDNase", "R survival", 647, True,
          "Dornase alfa against placebo in cystic fibrosis; several rows a patient, of which the first "
          "exacerbation counts; everybody is followed for about 24 weeks", "yes"),
    Known("cgd", "R survival", 128, True,
          "Interferon gamma against placebo in chronic granulomatous disease; several rows a patient, of "
          "which the first serious infection counts; dates are given", "yes"),
    Known("veteran", "R survival", 137, True,
          "A test chemotherapy against a standard one in lung cancer; the scikit-survival data set of the "
          "same name holds the same patients", "yes"),
    Known("ACTG175", "lifelines", 2139, True,
          "Four antiretroviral treatments of HIV infection; the event is a fall of CD4 cells by half, AIDS "
          "or death, in one column; the column treat joins three arms", "yes"),
    Known("actg320", "scikit-survival", 1151, True,
          "Indinavir added to two antiretrovirals against the two alone; AIDS or death, and death", "yes"),
    Known("cgvhd", "scikit-survival", 100, True,
          "Transplants from blood against bone marrow in myeloid malignancy; a random part of a randomized "
          "trial; times in years", "yes"),
    Known("veteran", "scikit-survival", 137, True, "The patients of veteran in R survival again",
          "no: a duplicate"),
    Known("GBSG2", "scikit-survival", 686, False,
          "A two-by-two trial in breast cancer in which part of the patients chose hormonal therapy; again "
          "as gbsg in R survival and gbsg2 in lifelines", "no: not randomized throughout"),
    Known("myeloid", "R survival", 646, False, "Simulated after a trial, says its documentation",
          "no: not patients"),
    Known("bladder", "R survival", 85, True,
          "Recurrences of bladder tumours in two of the three arms of bladder1, times in whole months",
          "no: whole months only"),
    Known("diabetic", "R survival", 197, True,
          "Laser treatment of one eye of each patient, so that the arms are not independent",
          "no: eyes are paired"),
    Known("retinopathy", "R survival", 197, True, "The patients of diabetic again", "no: a duplicate"),
    Known("aml", "R survival", 23, True,
          "Maintenance chemotherapy of leukaemia or none; the same again as leukemia", "no: 23 patients"),
    Known("leukemia", "lifelines", 42, True,
          "Mercaptopurine against placebo in leukaemia, patients in pairs, times in whole weeks",
          "no: whole weeks only"),
    Known("rossi", "lifelines", 432, True,
          "Financial aid or none after release from prison, time to arrest in whole weeks",
          "no: not patients"),
    Known("ovarian", "R survival", 26, True, "Two chemotherapies of ovarian cancer", "no: 26 patients"),
    Known("lung", "R survival", 228, False, "Survival with advanced lung cancer; also in lifelines",
          "no: no arms"),
)  # fmt: skip
"""What was looked at: data sets of these packages with two treatments, and the usual suspects.

It is no full list of what the packages carry.
"""


def from_r(name: str) -> pd.DataFrame:
    """A data frame of R's package survival. Raises `DataMissing` where R or the package is not there."""
    call = f"write.csv(survival::{name}, stdout(), row.names = FALSE)"
    return pd.read_csv(io.StringIO(run_r("-e", call)))


def run_r(*arguments: str, stdin: str = "") -> str:
    """The standard output of `Rscript` with these arguments."""
    program = shutil.which("Rscript")
    if program is None:
        raise DataMissing(
            "Rscript is not found. On Debian and Ubuntu: apt-get install r-base-core r-cran-survival"
        )
    done = subprocess.run([program, "--vanilla", *arguments], input=stdin, capture_output=True, text=True)
    if "there is no package" in done.stderr:
        raise DataMissing(
            "R's package survival is not installed. On Debian and Ubuntu: apt-get install r-cran-survival"
        )
    if done.returncode:
        raise RuntimeError(f"Rscript {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def has_r() -> bool:
    """Whether R with its package survival can be asked."""
    try:
        run_r("-e", "invisible(loadNamespace('survival'))")
    except DataMissing:
        return False
    return True


def from_lifelines(file: str) -> pd.DataFrame:
    """A data file that lifelines carries (it has no loader for every one)."""
    return pd.read_csv(_carried("lifelines", f"lifelines/datasets/{file}"))


def from_scikit_survival(file: str) -> pd.DataFrame:
    """A data file that scikit-survival carries, nominal columns as text.

    Read from the installed files: its loaders would import what else scikit-survival depends on.
    """
    content = _carried("scikit-survival", f"sksurv/datasets/data/{file}").read_text(encoding="utf-8")
    rows = pd.DataFrame(arff.loadarff(io.StringIO(content))[0])
    nominal = rows.select_dtypes(object).columns
    return rows.assign(**{column: rows[column].str.decode("utf-8") for column in nominal})


def _carried(package: str, file: str) -> Path:
    try:
        return Path(distribution(package).locate_file(file))
    except PackageNotFoundError as error:
        raise DataMissing(f"{package} is not installed: `make validate` installs it") from error


def _day(times) -> np.ndarray:
    return np.maximum(np.rint(np.asarray(times, float)), 1).astype(int)


# --- one function per data set: one row per patient ------------------------------------------------
# `arm`: as the data set names it. `<P>_days`, `<P>_event` of each end point P. `state` where the data
# say more than that somebody was censored. `factor` where randomization or analysis was stratified.


@functools.cache
def colon() -> pd.DataFrame:
    """Overall survival (OS) and recurrence-free survival (RFS), by arm and more than four positive nodes."""
    rows = from_r("colon")
    recurrence, death = (rows[rows["etype"] == kind].set_index("id") for kind in (1, 2))
    recurred = recurrence["status"] == 1
    return pd.DataFrame(
        {
            "arm": death["rx"],
            "factor": death["node4"],
            "OS_days": _day(death["time"]),
            "OS_event": death["status"] == 1,
            "RFS_days": _day(recurrence["time"].where(recurred, death["time"])),
            "RFS_event": recurred | (death["status"] == 1),
        }
    ).reset_index(drop=True)


@functools.cache
def pbc() -> pd.DataFrame:
    """Overall survival of the randomized patients; a transplantation ends follow-up."""
    rows = from_r("pbc").dropna(subset="trt")
    return pd.DataFrame(
        {
            "arm": rows["trt"],
            "OS_days": _day(rows["time"]),
            "OS_event": rows["status"] == 2,
            "state": np.where(rows["status"] == 1, "Transplanted", ""),
        }
    ).reset_index(drop=True)


@functools.cache
def udca() -> pd.DataFrame:
    """Survival without transplantation (TFS), and the time to failure of treatment (TTF), by stage."""
    rows = from_r("udca")
    dates = rows.filter(like=".dt").apply(pd.to_datetime)
    entry, last = dates.pop("entry.dt"), dates.pop("last.dt")
    fatal, any_failure = dates[["death.dt", "tx.dt"]].min(axis=1), dates.min(axis=1)
    days = {"TFS": fatal.fillna(last), "TTF": any_failure.fillna(fatal.fillna(last))}
    return pd.DataFrame(
        {
            "arm": rows["trt"],
            "factor": rows["stage"],
            "TFS_days": _day((days["TFS"] - entry).dt.days + 1),
            "TFS_event": fatal.notna(),
            "TTF_days": _day((days["TTF"] - entry).dt.days + 1),
            "TTF_event": any_failure.notna(),
        }
    )


@functools.cache
def rhdnase() -> pd.DataFrame:
    """Time to the first exacerbation (TTE); one that was under way at randomization counts on day 1."""
    rows = from_r("rhDNase").drop_duplicates("id")
    followed = (pd.to_datetime(rows["end.dt"]) - pd.to_datetime(rows["entry.dt"])).dt.days
    return pd.DataFrame(
        {
            "arm": rows["trt"],
            "TTE_days": _day(rows["ivstart"].fillna(followed)),
            "TTE_event": rows["ivstart"].notna(),
        }
    ).reset_index(drop=True)


@functools.cache
def cgd() -> pd.DataFrame:
    """Time to the first serious infection (TTI)."""
    rows = from_r("cgd").drop_duplicates("id")
    return pd.DataFrame(
        {"arm": rows["treat"], "TTI_days": _day(rows["tstop"]), "TTI_event": rows["status"] == 1}
    ).reset_index(drop=True)


@functools.cache
def veteran() -> pd.DataFrame:
    """Overall survival."""
    rows = from_r("veteran")
    return pd.DataFrame({"arm": rows["trt"], "OS_days": _day(rows["time"]), "OS_event": rows["status"] == 1})


@functools.cache
def actg175() -> pd.DataFrame:
    """Time to a fall of CD4 cells by half, AIDS or death (EFS), by earlier antiretroviral treatment."""
    rows = from_lifelines("ACTG175.csv")
    return pd.DataFrame(
        {
            "arm": rows["arms"],
            "factor": rows["str2"],
            "EFS_days": _day(rows["days"]),
            "EFS_event": rows["cens"] == 1,
        }
    )


@functools.cache
def actg320() -> pd.DataFrame:
    """Overall survival (OS) and survival without AIDS (AFS), by the CD4 stratum of randomization."""
    rows = from_scikit_survival("actg320.arff")
    return pd.DataFrame(
        {
            "arm": rows["tx"],
            "factor": (rows["strat2"] == "0").astype(int),
            "OS_days": _day(rows["time_d"]),
            "OS_event": rows["censor_d"] == "1",
            "AFS_days": _day(rows["time"]),
            "AFS_event": rows["censor"] == "1",
        }
    )


@functools.cache
def cgvhd() -> pd.DataFrame:
    """Overall survival (OS) and relapse-free survival (RFS)."""
    rows = from_scikit_survival("cgvhd.arff")
    dead, relapsed = rows["stat"] == "1", rows["rcens"] == "1"
    return pd.DataFrame(
        {
            "arm": rows["tx"],
            "OS_days": _day(rows["survtime"] * DAYS_PER_YEAR),
            "OS_event": dead,
            "RFS_days": _day(rows["reltime"].where(relapsed, rows["survtime"]) * DAYS_PER_YEAR),
            "RFS_event": relapsed | dead,
        }
    )
