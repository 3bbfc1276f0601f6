"""Make the ensembles: run the chains, keep what is finished, verify, store.

A chain is a pure function of the trial, the settings and its seed, and its seed follows from
the name of the ensemble and the number of the chain. So it does not matter in which order, on
how many processes or on which machine the chains run: the stored bytes are the same.

Each finished chain is one file under `_build/ensemble/<name>-<key>/`, written whole. The key is
a fingerprint of everything that the chain depends on: a run that was killed goes on where it
was, and a changed engine, library or trial starts clean.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba
import pandas as pd

from visiontrial import files, paths, workers
from visiontrial.cohort import derived, packet, reader, sources, store
from visiontrial.cohort.plans import FILE as PLANS_FILE
from visiontrial.cohort.plans import Plan, read_plans
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import Trial

TRIAL = "vision"
PURPOSE = "visiontrial: ensembles of reconstructed cohorts"
"""What the seeds are derived from. Another text gives other chains, never stored as the ensemble."""

DISPLAYED = "registry"
"""The ensemble whose medoid is the displayed cohort."""

# What decides a chain's bytes besides the trial: these rooms with all they import, and the libraries
# that compute.
ENGINE = ("visiontrial.cohort.chain", "visiontrial.cohort.packet")
LIBRARIES = ("numba", "numpy", "pandas", "pyarrow", "scipy")


def planned() -> tuple[Plan, ...]:
    """The ensembles of VISION, as its specification's folder has them."""
    return read_plans(paths.RECONSTRUCTION / TRIAL)


class EnsembleError(RuntimeError):
    """An ensemble cannot be made; what is stored stays as it was. The message says what to do."""


Reconstruct = Callable[[Trial, int, Any], packet.Outcome]


@dataclass(frozen=True)
class Engine:
    """What makes a cohort and what judges it; the tests put others in the place of the real ones.

    `reconstruct(trial, seed, settings)` gives an outcome with `accepted`, `adsl`, `adtte`, `trace`
    and `facts`; `settings(**options)` its settings; `verify(trial, adsl, adtte)` raises a
    `rejection` when the rows do not agree with the trial; `describe` does so too and returns tables
    to be stored beside the rows. All can be pickled.
    """

    reconstruct: Reconstruct
    settings: Callable[..., Any]
    verify: Callable[[Trial, pd.DataFrame, pd.DataFrame], Any]
    rejection: type[Exception]
    describe: Callable[[Trial, pd.DataFrame, pd.DataFrame], Mapping[str, pd.DataFrame]]


def real_engine() -> Engine:
    """The engine and the independent verifier of this package."""
    from visiontrial.cohort import chain, verify

    return Engine(chain.reconstruct, chain.Settings, verify.verify, verify.CohortRejected, derived.of_member)


# Chains --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chain:
    """A chain to run, with all that its result depends on."""

    ensemble: str
    number: int
    seed: int
    trial: Trial
    settings: Any
    engine: str


def _run(reconstruct: Reconstruct, chain: Chain) -> tuple[bytes, float]:
    """Run one chain, on whatever machine; give its packet and the seconds it took."""
    numba.set_num_threads(1)
    if engine_fingerprint() != chain.engine:
        raise EnsembleError(
            "A worker has another version of the engine, or of the libraries it computes with, than the "
            "process that collects. If the source was edited during the run, run again. If it is another "
            "machine, install the same checkout and requirements.txt there and restart its worker."
        )
    began = time.perf_counter()
    try:
        outcome = reconstruct(chain.trial, chain.seed, chain.settings)
    except Exception as error:
        error.add_note(f"in ensemble {chain.ensemble}, chain {chain.number}, seed {chain.seed}")
        raise
    return packet.pack(outcome), time.perf_counter() - began


# Fingerprints --------------------------------------------------------------------------------


@functools.cache
def engine_fingerprint() -> str:
    """SHA-256 over the source of every room the engine is made of and the versions of its libraries."""
    parts = [hashlib.sha256(source).digest() for source in sources.behind(*ENGINE)]
    return hashlib.sha256(b"".join(parts) + json.dumps(library_versions()).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the stored bytes."""
    return {name: version(name) for name in LIBRARIES}


def trial_fingerprint(trial: Trial) -> str:
    """SHA-256 of all that the engine is told of the trial, targets with their intervals included."""
    return hashlib.sha256(repr(trial).encode()).hexdigest()


# One ensemble --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """The chains of one ensemble and the folder in which each finished one has its file."""

    plan: Plan
    trial: Trial
    settings: Any
    purpose: str
    chains: range
    folder: Path

    def file_of(self, chain: int) -> Path:
        return self.folder / f"chain-{chain:04d}.zip"

    def missing(self) -> list[Chain]:
        return [
            Chain(
                self.plan.name, number, seed_of(self.purpose, self.plan.name, number),
                self.trial, self.settings, engine_fingerprint(),
            )
            for number in self.chains
            if not self.file_of(number).exists()
        ]  # fmt: skip

    def keep(self, chain: int, content: bytes, seconds: float) -> None:
        files.write_bytes(self.file_of(chain), content)
        with (self.folder / "seconds.csv").open("a", encoding="utf-8") as log:
            log.write(f"{chain},{seconds:.2f}\n")

    def outcomes(self) -> list[packet.Unpacked]:
        return [packet.unpack(self.file_of(number).read_bytes()) for number in self.chains]

    @property
    def is_as_planned(self) -> bool:
        return len(self.chains) == self.plan.chains and self.purpose == PURPOSE


def batch_of(
    plan: Plan, trial: Trial, engine: Engine, purpose: str, members: int | None, root: Path
) -> Batch:
    """The chains of a plan for a trial, each to wait as a file in a folder of this batch under `root`.

    `members`, where given, is their number in place of the planned one.
    """
    stratified = trial if plan.stratified_by is None else trial.stratified_by(*plan.stratified_by)
    settings = engine.settings(**plan.settings)
    parts = (purpose, plan.name, trial_fingerprint(stratified), repr(settings), engine_fingerprint())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    count = plan.chains if members is None else members
    return Batch(plan, stratified, settings, purpose, range(count), root / f"{plan.name}-{key}")


def _assemble(batch: Batch) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of an ensemble and its manifest, from its finished chains in their order."""
    outcomes = batch.outcomes()
    accepted = [outcome for outcome in outcomes if outcome.accepted]
    if not accepted:
        raise EnsembleError(
            f"{batch.plan.name}: none of {len(outcomes)} chains was accepted, so there is nothing to store. "
            f"Why each failed: {_reasons(outcomes)}"
        )
    contents = store.encode(
        [(outcome.adsl, outcome.adtte) for outcome in accepted],
        [outcome.trace for outcome in accepted],
        chain_table(batch, outcomes),
    )
    manifest = {
        "ensemble": batch.plan.name,
        "content": "SYNTHETIC: reconstructed patients, made to agree with a report. No patient's data.",
        "trial": batch.trial.name,
        "chains": len(outcomes),
        "members": len(accepted),
        "patients": batch.trial.size,
        "stratified_by": [factor.name for factor in batch.trial.factors if factor.stratifies],
        "settings": dict(batch.plan.settings),
        "seeds": batch.purpose,
        "trial_sha256": trial_fingerprint(batch.trial),
        "engine_sha256": engine_fingerprint(),
        "versions": library_versions(),
    }
    return contents, manifest


def chain_table(batch: Batch, outcomes: Sequence[packet.Unpacked]) -> pd.DataFrame:
    """One row per chain: its seed, the member it became, and its facts."""
    accepted = pd.Series([outcome.accepted for outcome in outcomes])
    first = pd.DataFrame(
        {
            "chain": list(batch.chains),
            "seed": [seed_of(batch.purpose, batch.plan.name, number) for number in batch.chains],
            "accepted": accepted,
            "member": (accepted.cumsum() - 1).where(accepted).astype("Int64"),
        }
    )
    # Objects: a fact that some chains lack must not turn the whole numbers of the others into fractions.
    facts = pd.DataFrame([dict(outcome.facts) for outcome in outcomes], dtype=object)
    return first.join(facts)


def _reasons(outcomes: Iterable[packet.Unpacked]) -> str:
    return "; ".join(f"chain {number}: {dict(outcome.facts)}" for number, outcome in enumerate(outcomes))


def _describe_stored(
    batch: Batch, ensemble: store.Ensemble, engine: Engine, processes: int | None
) -> dict[str, bytes]:
    """Have every member judged, as it is read back from the bytes that will be stored, and described."""
    chains = ensemble.chains.dropna(subset="member").set_index("member")["chain"]
    tasks = (
        (member, functools.partial(_judge, engine, batch.trial, *ensemble.member(member)))
        for member in ensemble.members
    )
    described = {}
    with workers.Progress(f"verifying {batch.plan.name}", len(ensemble.members), "cohorts") as progress:
        for member, (objection, tables) in workers.unordered(tasks, processes):
            if objection:
                raise EnsembleError(
                    f"{batch.plan.name}: the independent verifier rejects member {member} "
                    f"(chain {chains[member]}): {objection}. Nothing was stored. "
                    "Engine and verifier disagree: mend the one that is wrong."
                )
            described[member] = tables
            progress.update()
    return derived.encode([described[member] for member in ensemble.members])


def _judge(engine: Engine, trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame):
    """The objection to a cohort, or `None`, and the tables that describe it."""
    try:
        return None, engine.describe(trial, adsl, adtte)
    except engine.rejection as objection:
        return str(objection) or type(objection).__name__, None


# All of them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """What became of one ensemble: chains run, members accepted, where it is stored."""

    name: str
    chains: int
    members: int
    folder: Path

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.members} of {self.chains} chains accepted, "
            f"{self.chains - self.members} failed; stored in {files.shown(self.folder)}"
        )


def make(
    only: Sequence[str] = (),
    *,
    members: int | None = None,
    processes: int | None = None,
    scheduler: str | None = None,
    purpose: str = PURPOSE,
    trial: Trial | None = None,
    engine: Engine | None = None,
    plans: Sequence[Plan] | None = None,
    kept: Path = paths.BUILD / "ensemble",
    stored: Path | None = None,
) -> list[Made]:
    """Run the chains that are missing, then verify and store each ensemble; return what became of each.

    `only` names the ensembles (default: all of `plans`, and these are VISION's). `members` runs that
    many chains instead of the planned number, `purpose` derives other seeds: what comes of either is no
    planned ensemble and is stored beside its chains, under `kept`, never in place of the stored one.
    `processes` is the number of local processes, `scheduler` the address of a Dask scheduler to
    run the chains on instead. Verification is always local: it judges what this machine will store.

    Raises `EnsembleError` when too few chains are accepted or the verifier rejects a cohort; then
    that ensemble stays as it was stored before. Finished chains are kept in any case.
    """
    trial = trial or reader.read(paths.RECONSTRUCTION / TRIAL)
    engine = engine or real_engine()
    stored = stored or paths.RECONSTRUCTION / TRIAL / "ensembles"
    chosen = _chosen(planned() if plans is None else plans, only)
    if members is not None and members < 1:
        raise EnsembleError(f"{members} members cannot be made: give 1 or more")
    batches = [batch_of(plan, trial, engine, purpose, members, kept) for plan in chosen]
    run_missing(batches, engine, processes, scheduler)
    return [_store(batch, engine, processes, stored) for batch in batches]


def _chosen(plans: Sequence[Plan], only: Sequence[str]) -> list[Plan]:
    names = [plan.name for plan in plans]
    if unknown := sorted(set(only) - set(names)):
        raise EnsembleError(f"there is no ensemble {', '.join(unknown)}: choose from {', '.join(names)}")
    return [plan for plan in plans if not only or plan.name in only]


def run_missing(
    batches: Sequence[Batch], engine: Engine, processes: int | None, scheduler: str | None
) -> None:
    """Run the chains of these batches that are not finished, and keep each as soon as it is."""
    missing = [(batch, chain) for batch in batches for chain in batch.missing()]
    if not missing:
        return
    total = sum(len(batch.chains) for batch in batches)
    tasks = [
        (place, functools.partial(_run, engine.reconstruct, chain))
        for place, (_, chain) in enumerate(missing)
    ]
    with workers.Progress("reconstructing", total, "chains", done=total - len(missing)) as progress:
        for place, (content, seconds) in workers.unordered(tasks, processes, scheduler):
            batch, chain = missing[place]
            batch.keep(chain.number, content, seconds)
            progress.update()


def _store(batch: Batch, engine: Engine, processes: int | None, stored: Path) -> Made:
    contents, manifest = _assemble(batch)
    accepted, planned = manifest["members"], batch.plan
    if batch.is_as_planned and accepted < planned.at_least:
        raise EnsembleError(
            f"{planned.name}: {accepted} of {planned.chains} chains were accepted and {planned.at_least} are "
            f"needed. Nothing was stored. Plan more chains in {PLANS_FILE} or mend the engine."
        )
    contents |= _describe_stored(batch, store.decode(contents, manifest), engine, processes)
    folder = stored / planned.name if batch.is_as_planned else batch.folder / f"first-{len(batch.chains)}"
    store.write(folder, contents, manifest)
    return Made(planned.name, len(batch.chains), accepted, folder)


def command(only: Sequence[str] = (), **options: Any) -> None:
    """Make the ensembles and the displayed cohort, and say in a few lines what came of it.

    `options` are those of `make`.
    """
    began = time.monotonic()
    made = make(only, **options)
    for ensemble in made:
        print(ensemble)
    if store.folder_of(DISPLAYED, TRIAL) in [ensemble.folder for ensemble in made]:
        print(_display())
    print(f"{time.monotonic() - began:.0f} seconds in all")


def _display() -> str:
    from visiontrial.cohort import characteristics_file, displayed

    specification = paths.RECONSTRUCTION / TRIAL
    trial = reader.read(specification)
    return displayed.make(store.read(DISPLAYED), trial, characteristics_file.read(specification, trial))
