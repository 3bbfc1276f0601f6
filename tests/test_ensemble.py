"""Making and storing ensembles: the same bytes in every way, nothing lost, nothing stored unseen.

The engine is a pretended one (`pretend_engine`): what is tested here is what is done with chains,
whatever they are made of.
"""

from __future__ import annotations

import io
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pretend_engine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontrial import paths, workers
from visiontrial.__main__ import main
from visiontrial.cohort import ensemble, packet, parquet, reader, sources, store
from visiontrial.cohort.seeds import seed_of

PLANS = (
    ensemble.Plan("wide", chains=8, at_least=4),
    ensemble.Plan("narrow", chains=5, at_least=2, settings={"single_shape": True}, stratified_by=()),
)
TESTS = Path(__file__).parent


def make(folder: Path, only=(), engine=None, **options):
    """Make the pretended ensembles under this folder, in this process unless told otherwise."""
    return ensemble.make(
        only, trial=pretend_engine.trial(), engine=engine or pretend_engine.engine(),
        **{"plans": PLANS, "kept": folder / "kept", "stored": folder / "stored", "processes": 1, **options},
    )  # fmt: skip


def stored_bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "stored").rglob("*"))
        if path.is_file()
    }


def chains_kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "kept").rglob("chain-*.zip"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """The ensembles made by one process, chain after chain."""
    folder = tmp_path_factory.mktemp("reference")
    make(folder)
    return folder


# --- the same bytes --------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(reference, tmp_path):
    make(tmp_path, processes=2)
    assert stored_bytes(tmp_path) == stored_bytes(reference)
    assert len(stored_bytes(tmp_path)) == 2 * 6


def test_the_order_of_the_chains_does_not_matter(reference, tmp_path, monkeypatch):
    def shuffled(tasks, *_):
        tasks = list(tasks)
        for place in np.random.default_rng(4).permutation(len(tasks)):
            label, task = tasks[place]
            yield label, task()

    monkeypatch.setattr(workers, "unordered", shuffled)
    make(tmp_path)
    assert stored_bytes(tmp_path) == stored_bytes(reference)


def test_the_ensembles_made_one_by_one_are_those_made_together(reference, tmp_path):
    make(tmp_path, only=["narrow"])
    make(tmp_path, only=["wide"])
    assert stored_bytes(tmp_path) == stored_bytes(reference)


def test_a_run_again_only_assembles(reference, tmp_path):
    make(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("chain-*")}
    unable = pretend_engine.engine()
    make(tmp_path, engine=replace(unable, reconstruct=None))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("chain-*")} == before
    assert stored_bytes(tmp_path) == stored_bytes(reference)


@pytest.mark.slow
def test_a_run_killed_in_the_middle_goes_on_where_it_was(reference, tmp_path):
    script = (
        "import sys; from pathlib import Path; import pretend_engine, test_ensemble;"
        "test_ensemble.make(Path(sys.argv[1]), engine=pretend_engine.engine(seconds=0.2), processes=2)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(chains_kept(tmp_path)) >= 3)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    finished = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("chain-*.zip")}
    assert 3 <= len(finished) < 13
    assert not stored_bytes(tmp_path)

    make(tmp_path, engine=pretend_engine.engine(seconds=0.2), processes=2)
    assert stored_bytes(tmp_path) == stored_bytes(reference)
    assert all(path.read_bytes() == content for path, content in finished.items())
    log = "".join(path.read_text() for path in (tmp_path / "kept").rglob("seconds.csv"))
    assert len(log.splitlines()) == 13, "each chain was computed to its end and kept once"


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bytes(reference, tmp_path):
    from distributed import LocalCluster

    suicide = tmp_path / "a-worker-died"
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        before = {worker.pid for worker in cluster.workers.values()}
        make(
            tmp_path,
            engine=pretend_engine.engine(seconds=0.05, suicide=str(suicide)),
            scheduler=cluster.scheduler_address,
        )
        after = {worker.pid for worker in cluster.workers.values()}
    assert suicide.exists()
    assert before != after, "one worker was killed and replaced"
    assert stored_bytes(tmp_path) == stored_bytes(reference)
    log = "".join(path.read_text() for path in (tmp_path / "kept").rglob("seconds.csv"))
    assert len(log.splitlines()) == 13, "each chain is counted once"


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# --- what makes a chain start anew -------------------------------------------------------------


def test_a_changed_engine_starts_clean(tmp_path, monkeypatch):
    make(tmp_path, only=["narrow"])
    monkeypatch.setattr(ensemble, "engine_fingerprint", lambda: "another engine")
    make(tmp_path, only=["narrow"])
    assert len(list((tmp_path / "kept").glob("narrow-*"))) == 2


def test_the_fingerprint_covers_all_that_the_engine_imports():
    rooms = sources.rooms_behind(*ensemble.ENGINE)
    assert {"visiontrial.cohort.packet", "visiontrial.cohort.parquet"} <= set(rooms)
    assert not {"visiontrial.cohort.ensemble", "visiontrial.cohort.verify"} & set(rooms)


def test_a_worker_with_another_engine_is_refused(tmp_path):
    chain = ensemble.Chain("wide", 0, 1, pretend_engine.trial(), pretend_engine.Settings(), "another")
    with pytest.raises(ensemble.EnsembleError, match="another version"):
        ensemble._run(pretend_engine.reconstruct, chain)


def test_seeds_depend_on_purpose_ensemble_and_chain_and_stay_what_they_are():
    seeds = {
        seed_of(purpose, name, chain)
        for purpose in (ensemble.PURPOSE, "other")
        for name in ("registry", "unstratified")
        for chain in range(130)
    }
    assert len(seeds) == 2 * 2 * 130
    # Recorded on the day it was written: a stored ensemble cannot be made again if this changes.
    assert seed_of("purpose", "name", 7) == 1304844441591893723


def test_more_chains_than_planned_keep_those_that_are_there(tmp_path):
    make(tmp_path, only=["wide"], members=3)
    first = chains_kept(tmp_path)
    make(tmp_path, only=["wide"])
    assert first == ["chain-0000.zip", "chain-0001.zip", "chain-0002.zip"]
    assert len(chains_kept(tmp_path)) == 8


# --- what is stored ---------------------------------------------------------------------------


def test_members_are_the_accepted_chains_in_their_order(reference):
    wide = store.read("wide", reference / "stored" / "wide")
    accepted = wide.chains[wide.chains["accepted"]]
    assert list(accepted["member"]) == list(wide.members)
    assert accepted["chain"].is_monotonic_increasing
    failed = wide.chains[~wide.chains["accepted"]]
    assert len(failed) > 0
    assert failed["member"].isna().all()
    assert set(failed["failure"]) == {"did not thaw"}
    for row in accepted.itertuples():
        seed = seed_of(ensemble.PURPOSE, "wide", row.chain)
        made = pretend_engine.reconstruct(pretend_engine.trial(), seed, pretend_engine.Settings())
        adsl, adtte = wide.member(row.member)
        order = ["PARAMCD", "USUBJID"]
        pd.testing.assert_frame_equal(adsl, made.adsl, check_dtype=False)
        pd.testing.assert_frame_equal(
            adtte, made.adtte.sort_values(order).reset_index(drop=True), check_dtype=False
        )
        assert (row.sweeps, row.seed) == (made.facts["sweeps"], seed)
        trace = wide.traces[wide.traces["member"] == row.member]
        np.testing.assert_allclose(trace["ratio"], made.trace["ratio"], rtol=1e-7)


def test_integers_are_wide_in_memory_and_narrow_on_disk(reference):
    import pyarrow.parquet as pq

    folder = reference / "stored" / "wide"
    assert store.read("wide", folder).adtte["AVAL"].dtype == np.int64
    on_disk = pq.read_schema(folder / "adtte.parquet")
    assert {on_disk.field("AVAL").type, on_disk.field("CNSR").type} == {"int16", "int8"}
    assert "ADT" not in on_disk.names
    assert pq.read_schema(folder / "adsl.parquet").field("RANDDT").type == "date32[day]"


def test_the_manifest_says_what_it_was_made_from_and_nothing_of_place_or_time(reference):
    text = (reference / "stored" / "narrow" / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["chains"] == 5
    assert manifest["settings"] == {"single_shape": True}
    assert manifest["stratified_by"] == []
    assert set(manifest["versions"]) == set(ensemble.LIBRARIES)
    assert str(reference) not in text
    assert "SYNTHETIC" in manifest["content"]


ROW = st.tuples(st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.text(), st.booleans())


@settings(max_examples=30)
@given(st.lists(ROW, min_size=1))
def test_a_frame_survives_parquet(rows):
    frame = pd.DataFrame(rows, columns=["whole", "real", "words", "yes"])
    content = parquet.to_bytes(frame)
    pd.testing.assert_frame_equal(parquet.from_bytes(content), frame)
    assert content == parquet.to_bytes(frame.set_index(frame.index + 5))


def test_missing_whole_numbers_dates_and_words_survive_parquet():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 300], dtype="Int64"),
            "day": pd.Series(["2018-06-04", None, "2021-01-27"], dtype="datetime64[s]"),
            "word": ["Died", None, ""],
        }
    )
    pd.testing.assert_frame_equal(parquet.from_bytes(parquet.to_bytes(frame)), frame)


def test_a_packet_gives_back_what_was_packed_and_is_the_same_at_any_time(monkeypatch):
    made = pretend_engine.reconstruct(pretend_engine.trial(), 3, pretend_engine.Settings())
    content = packet.pack(made)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert packet.pack(made) == content
    outcome = packet.unpack(content)
    assert outcome.accepted
    assert outcome.facts == made.facts
    pd.testing.assert_frame_equal(outcome.adsl, made.adsl, check_dtype=False)


# --- what is refused ---------------------------------------------------------------------------


def test_a_rejected_cohort_stops_the_build_and_leaves_the_stored_ensemble(reference, tmp_path):
    make(tmp_path, only=["wide"])
    before = stored_bytes(tmp_path)
    with pytest.raises(ensemble.EnsembleError, match=r"wide: .* member 0 \(chain \d\): os.hr is 0.70"):
        make(tmp_path, only=["wide"], engine=pretend_engine.engine(pretend_engine.reject))
    assert stored_bytes(tmp_path) == before


def test_too_few_accepted_chains_stop_the_build(tmp_path):
    demanding = (ensemble.Plan("wide", chains=8, at_least=8),)
    with pytest.raises(ensemble.EnsembleError, match="of 8 chains were accepted and 8 are needed"):
        make(tmp_path, plans=demanding)
    assert not stored_bytes(tmp_path)


def test_a_part_or_other_seeds_never_replace_the_stored_ensemble(tmp_path):
    make(tmp_path)
    before = stored_bytes(tmp_path)
    (part,) = make(tmp_path, only=["wide"], members=4)
    (other,) = make(tmp_path, only=["wide"], purpose="another")
    assert stored_bytes(tmp_path) == before
    assert part.folder.is_relative_to(tmp_path / "kept")
    rows = store.read("wide", other.folder).adsl
    assert not rows.equals(store.read("wide", tmp_path / "stored" / "wide").adsl)


@pytest.mark.parametrize("name", ["adsl.parquet", "chains.csv"])
def test_an_altered_file_is_refused_with_what_to_do(tmp_path, name):
    make(tmp_path, only=["wide"])
    path = tmp_path / "stored" / "wide" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(store.StoreError, match=rf"{name} is not the file that was stored.*make ensemble"):
        store.read("wide", path.parent)


def test_a_missing_file_or_ensemble_is_refused_with_what_to_do(tmp_path):
    make(tmp_path, only=["wide"])
    folder = tmp_path / "stored" / "wide"
    (folder / "traces.parquet").unlink()
    with pytest.raises(store.StoreError, match=r"traces.parquet cannot be read.*make ensemble"):
        store.read("wide", folder)
    with pytest.raises(store.StoreError, match="--only wide"):
        store.read("wide", tmp_path / "nowhere")


def test_a_date_that_does_not_follow_from_the_day_is_refused():
    made = pretend_engine.reconstruct(pretend_engine.trial(), 3, pretend_engine.Settings())
    made.adtte.loc[made.adtte.index[7], "AVAL"] += 1
    with pytest.raises(store.StoreError, match=r"member 0, SYNTHETIC-\d+, OS: ADT"):
        store.encode([(made.adsl, made.adtte)], [made.trace], pd.DataFrame({"chain": [0], "member": [0]}))


def test_unknown_names_and_numbers_are_refused(reference, tmp_path):
    with pytest.raises(ensemble.EnsembleError, match="no ensemble wyde: choose from wide, narrow"):
        make(tmp_path, only=["wyde"])
    with pytest.raises(ensemble.EnsembleError, match="0 members"):
        make(tmp_path, members=0)
    with pytest.raises(store.StoreError, match="no member 99"):
        store.read("wide", reference / "stored" / "wide").member(99)


def test_a_failing_chain_is_named(tmp_path):
    good = pretend_engine.engine()
    with pytest.raises(TypeError) as failure:
        make(tmp_path, only=["wide"], engine=replace(good, reconstruct=divmod))
    assert "ensemble wide, chain 0, seed" in failure.value.__notes__[0]


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(workers.WorkersError, match=r"tcp://127\.0\.0\.1:9"):
        make(tmp_path, scheduler="tcp://127.0.0.1:9")


@pytest.mark.slow
def test_a_worker_that_is_killed_on_this_machine_is_reported_and_the_rest_is_kept(tmp_path):
    suicide = pretend_engine.engine(suicide=str(tmp_path / "died"))
    with pytest.raises(workers.WorkersError, match="run the command again"):
        make(tmp_path, processes=2, engine=suicide)
    make(tmp_path, processes=2, engine=suicide)
    assert len(chains_kept(tmp_path)) == 13


# --- what is seen meanwhile --------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_counts_over_all_ensembles_and_from_where_a_killed_run_was(tmp_path, capsys):
    make(tmp_path, only=["wide"])
    capsys.readouterr()
    make(tmp_path)
    shown = capsys.readouterr().err
    lines = shown.splitlines()
    assert "reconstructing" in lines[0]
    assert "8 of 13 chains" in lines[0]
    assert any("13 of 13 chains" in line for line in lines)
    assert "left" in lines[0]
    assert "\r" not in shown


def test_progress_moves_on_a_terminal():
    screen = Terminal()
    with workers.Progress("reconstructing", 2, "chains", stream=screen) as progress:
        progress.update()
        progress.update()
    assert screen.getvalue().count("\r") >= 2
    assert "2 of 2 chains" in screen.getvalue()


def test_a_log_gets_few_lines():
    log = io.StringIO()
    with workers.Progress("reconstructing", 1000, "chains", stream=log) as progress:
        for _ in range(1000):
            progress.update()
    assert len(log.getvalue().splitlines()) <= 3


# --- the command ---------------------------------------------------------------------------------


def test_the_command_hands_its_options_on_and_ends_with_a_summary(monkeypatch, capsys, tmp_path):
    given = {}

    def made(only, **options):
        given.update(options, only=only)
        return [ensemble.Made("registry", 10, 8, tmp_path / "registry")]

    monkeypatch.setattr(ensemble, "make", made)
    monkeypatch.setattr(workers, "one_thread_each", lambda: None)
    options = ["--only", "registry", "--members", "10", "--scheduler", "tcp://host:8786", "--workers", "3"]
    assert main(["ensemble", *options]) == 0
    assert given == {
        "only": ["registry"],
        "members": 10,
        "processes": 3,
        "scheduler": "tcp://host:8786",
        "purpose": ensemble.PURPOSE,
    }
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("registry: 8 of 10 chains accepted, 2 failed; stored in ")
    assert last.endswith("seconds in all")


def test_the_command_says_what_is_wrong_without_a_traceback(monkeypatch, capsys):
    monkeypatch.setattr(workers, "one_thread_each", lambda: None)
    assert main(["ensemble", "--only", "wyde"]) == 1
    assert "error: there is no ensemble wyde: choose from registry, single-shape" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--workers", "--members"])
@pytest.mark.parametrize("command", ["ensemble", "calibrate", "sensitivity", "validate"])
@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_fewer_than_one_worker_or_member_is_refused(command, option, number, capsys):
    with pytest.raises(SystemExit):
        main([command, option, number])
    assert f"{option}: give a whole number of 1 or more, not '{number}'" in capsys.readouterr().err


# --- the stored ensembles of the trial -------------------------------------------------------------


@pytest.mark.parametrize("plan", ensemble.planned(), ids=lambda plan: plan.name)
def test_a_stored_ensemble_is_whole_and_of_this_trial(plan):
    stored = store.read(plan.name)
    trial = reader.read(paths.RECONSTRUCTION / ensemble.TRIAL)
    expected = trial if plan.stratified_by is None else trial.stratified_by(*plan.stratified_by)
    assert stored.manifest["trial_sha256"] == ensemble.trial_fingerprint(expected)
    assert len(stored.members) >= plan.at_least
    assert len(stored.chains) == plan.chains
    sizes = stored.adsl.groupby("member").size()
    assert list(sizes.index) == list(stored.members)
    assert set(sizes) == {trial.size}


@pytest.mark.slow
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="bytes are promised on Linux x86-64"
)
@pytest.mark.parametrize("name", [plan.name for plan in ensemble.planned()])
def test_a_stored_member_is_made_again_from_nothing(name):
    """The engine of this checkout, from the seed alone, gives the stored rows to the last day."""
    engine = ensemble.real_engine()
    plan = next(plan for plan in ensemble.planned() if plan.name == name)
    vision = reader.read(paths.RECONSTRUCTION / ensemble.TRIAL)
    batch = ensemble.batch_of(plan, vision, engine, ensemble.PURPOSE, None, Path("nowhere"))
    kept = store.read(name)
    chain = kept.chains[kept.chains["member"] == 1].iloc[0]
    made = engine.reconstruct(batch.trial, int(chain["seed"]), batch.settings)
    stored_adsl, stored_adtte = kept.member(1)
    again = store.decode(
        store.encode([(made.adsl, made.adtte)], [made.trace], kept.chains), {"ensemble": name, "members": 1}
    )
    pd.testing.assert_frame_equal(again.member(0)[0], stored_adsl)
    pd.testing.assert_frame_equal(again.member(0)[1], stored_adtte)
