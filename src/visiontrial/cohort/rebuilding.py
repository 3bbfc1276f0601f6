"""Many trials, each rebuilt from what is printed of it by several chains: run, judge, store, read.

What `cohort.calibration`, `validation.trials` and `validation.left_out` have in common. They differ in
the trials they rebuild and in what they compare the rebuilt rows with.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from visiontrial import workers
from visiontrial.cohort import ensemble, packet, store
from visiontrial.cohort.specification import Trial


class RebuildingError(RuntimeError):
    """Trials cannot be rebuilt as asked; what is stored stays as it was. The message says what to do."""


@dataclass(frozen=True)
class Rebuilding:
    """How trials are rebuilt.

    `purpose`: what the seeds are derived from. `kept`: the folder in which finished chains wait, so that a
    killed run goes on where it was. `usual`: the planned number of chains of each trial. `members`: the
    number to run in its place. `processes` and `scheduler`: as in `workers.unordered`. `engine`: the real
    one, unless a test gives another.

    Raises `RebuildingError` for fewer than two members: one cohort has no range.
    """

    purpose: str
    kept: Path
    usual: int
    members: int | None = None
    processes: int | None = None
    scheduler: str | None = None
    engine: ensemble.Engine | None = None

    def __post_init__(self):
        if self.chains < 2:
            raise RebuildingError(f"{self.chains} members: give at least 2, one cohort has no range")

    @property
    def chains(self) -> int:
        """Chains of each trial."""
        return self.usual if self.members is None else self.members

    @property
    def as_planned(self) -> bool:
        """Whether each trial has the planned number of chains."""
        return self.chains == self.usual

    @functools.cached_property
    def _engine(self) -> ensemble.Engine:
        return self.engine or ensemble.real_engine()

    def run(self, trials: Mapping[str, Trial]) -> dict[str, ensemble.Batch]:
        """Run the chains of these trials that are not finished; the chains of each, by name.

        A chain that is not accepted is never replaced.
        """
        batches = {
            name: ensemble.batch_of(
                ensemble.Plan(name, chains=self.chains, at_least=0),
                trial, self._engine, self.purpose, None, self.kept,
            )
            for name, trial in trials.items()
        }  # fmt: skip
        ensemble.run_missing(list(batches.values()), self._engine, self.processes, self.scheduler)
        return batches

    def judge(self, tasks: Mapping[Hashable, Callable[[ensemble.Engine], Any]], what: str) -> dict:
        """What each task says of the rebuilt rows, in the order of the tasks. Always on this machine.

        A task is given the engine, whose independent verifier it must ask (`verified`).
        """
        labelled = ((name, functools.partial(task, self._engine)) for name, task in tasks.items())
        found = {}
        with workers.Progress(what, len(tasks), "trials") as progress:
            for name, result in workers.unordered(labelled, self.processes):
                found[name] = result
                progress.update()
        return {name: found[name] for name in tasks}

    def facts(self, **others: Any) -> dict[str, Any]:
        """What the manifest says of the chains; `others` stand before the engine's fingerprint."""
        return {
            "members": self.chains,
            "settings": repr(self._engine.settings()),
            "seeds": self.purpose,
            **others,
            "engine_sha256": ensemble.engine_fingerprint(),
            "versions": ensemble.library_versions(),
        }


def verified(batch: ensemble.Batch, engine: ensemble.Engine) -> list[packet.Unpacked]:
    """The accepted outcomes of a batch's finished chains, each passed by the independent verifier.

    Raises `RebuildingError` when the verifier rejects one.
    """
    members = []
    for number, outcome in enumerate(batch.outcomes()):
        if not outcome.accepted:
            continue
        try:
            engine.verify(batch.trial, outcome.adsl, outcome.adtte)
        except engine.rejection as objection:
            raise RebuildingError(
                f"{batch.plan.name}, chain {number}: the independent verifier rejects what the engine "
                f"accepted. {objection} Nothing was stored: mend the one that is wrong."
            ) from objection
        members.append(outcome)
    return members


def chains_of(batch: ensemble.Batch) -> pd.DataFrame:
    """One row per finished chain, as in `ensemble.chain_table`."""
    return ensemble.chain_table(batch, batch.outcomes())


def stacked(labels: Mapping[Hashable, Mapping[str, Any]], tables: Mapping[Hashable, pd.DataFrame]):
    """The tables of some cases one below the other, each with its case's labels in the first columns."""
    parts = [table.assign(**labels[case])[[*labels[case], *table.columns]] for case, table in tables.items()]
    return pd.concat(parts, ignore_index=True)


def encode(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Each table as the file in which it is stored, by the file's name."""
    return {
        f"{name}.csv": table.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode("utf-8")
        for name, table in tables.items()
    }


def read(folder: Path, remedy: str, types: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The stored tables by name, and `manifest`; every file must have its recorded checksum.

    `types`: the tables to read, and for each the types of the columns that their content does not tell.
    `remedy` is the command that makes the folder anew. Raises `StoreError`.
    """
    contents = store.read_checked(folder, remedy)
    tables = {
        name: pd.read_csv(io.BytesIO(contents[f"{name}.csv"]), dtype=dict(columns))
        for name, columns in types.items()
    }
    return {**tables, "manifest": json.loads(contents[store.MANIFEST])}
