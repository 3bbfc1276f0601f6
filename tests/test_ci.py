"""`.ci/run` where things are missing: it installs them where it may, and goes on where it may not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from visiontrial import paths

TOOLS = ("bash", "sh", "dirname", "env", "id", "git", "grep", "ln")


class Machine:
    """A folder with a copy of `.ci/run`, whose programs are only those of its folder `bin`."""

    def __init__(self, root):
        self.root = root
        (root / ".ci").mkdir()
        (root / "bin").mkdir()
        shutil.copy(paths.ROOT / ".ci" / "run", root / ".ci" / "run")
        for tool in TOOLS:
            (root / "bin" / tool).symlink_to(shutil.which(tool))
        self.program("python3", f'exec {sys.executable} "$@"')
        self.program(
            "make", f'echo "make $1 CI=$CI browser=${{VISIONTRIAL_REQUIRE_BROWSER:-0}}" >> {root}/calls'
        )

    def program(self, name: str, script: str) -> None:
        program = self.root / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess:
        alone = {"PATH": str(self.root / "bin")}
        script = self.root / ".ci" / "run"
        return subprocess.run([script], env=alone, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path):
    """A machine with make and Python, without Chromium and apt-get."""
    return Machine(tmp_path)


def test_what_is_missing_is_installed_and_the_browser_required(machine):
    chromium = machine.root / "bin" / "chromium"
    machine.program("sudo", 'shift; "$@"')
    machine.program(
        "apt-get", f'echo "apt-get $*" >> {machine.root}/calls; [ $1 = update ] || ln -s sh {chromium}'
    )
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert machine.calls == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends "
        "chromium fonts-liberation r-base-core r-cran-survival",
        "make book CI=true browser=1",
        "make test CI=true browser=1",
    ]


def test_what_is_there_is_not_installed(machine):
    machine.program("google-chrome", "")
    machine.program("Rscript", "")
    machine.program("fc-list", "echo 'LiberationSans-Regular.ttf: Liberation Sans:style=Regular'")
    machine.program("apt-get", f'echo "apt-get $*" >> {machine.root}/calls')
    assert machine.run().returncode == 0
    assert machine.calls == ["make book CI=true browser=1", "make test CI=true browser=1"]


def test_without_the_right_to_install_it_goes_on_and_says_so(machine):
    done = machine.run()
    assert done.returncode == 0
    assert machine.calls == ["make book CI=true browser=0", "make test CI=true browser=0"]
    assert "Could not install chromium" in done.stderr
    assert "will be skipped" in done.stderr


def test_a_book_that_fails_fails_the_run(machine):
    machine.program("make", f'echo "make $1" >> {machine.root}/calls; exit 2')
    assert machine.run().returncode == 2
    assert machine.calls == ["make book"]


def test_the_workflow_runs_the_same_script_and_keeps_what_it_made():
    workflow = yaml.safe_load((paths.ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["book"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    steps = job["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    assert os.access(paths.ROOT / ".ci/run", os.X_OK)
    kept = steps[-1]["with"]["path"].split()
    assert kept == ["_build/executed", "_build/ledger.csv", "_build/vision-reproduced.zip"]
