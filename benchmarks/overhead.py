"""`python -m benchmarks.overhead`: what DVC and Prefect take over the stages alone, in a process and on pools."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks import toy
from benchmarks.faults import say, undisturbed
from benchmarks.stack import Stack

SECONDS_OF_A_STAGE = 1.0
Seconds = tuple[float, float]  # on the clock, and of processors


def main() -> None:
    """Run the same seven stages in six ways, each in a new repository, and print a table of the seconds."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    say("| how | seconds | of processors | over the stages alone | of processors |\n|---|---|---|---|---|")
    bare: Seconds = (0.0, 0.0)
    for number, (name, way) in enumerate(WAYS.items()):
        with tempfile.TemporaryDirectory() as folder:
            seconds = way(toy.make(Path(__file__).parents[1], Path(folder) / "toy", SECONDS_OF_A_STAGE))
        bare = bare if number else seconds
        over = (seconds[0] - bare[0], seconds[1] - bare[1])
        say(f"| {name} | {seconds[0]:.1f} | {seconds[1]:.1f} | {over[0]:.1f} | {over[1]:.1f} |")


def stages_alone(root: Path) -> Seconds:
    """Each stage's command, one after the other, as dvc.yaml has it."""
    graph = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
    commands = [graph["stages"][name]["cmd"] for name in toy.AFTER]  # each behind those that it reads
    return timed(lambda: run(root, "/bin/sh", "-ec", "\n".join(commands)), of_children)


def repro(root: Path) -> Seconds:
    """DVC without Prefect."""
    return timed(lambda: run(root, sys.executable, "-m", "dvc", "repro"), of_children)


def retrain(root: Path) -> Seconds:
    """What `make retrain` does where no server is up."""
    return timed(lambda: run(root, sys.executable, "-m", "flows", "retrain"), of_children)


def retrain_again(root: Path) -> Seconds:
    """The same on other rows, in a clone whose database is there."""
    retrain(root)
    toy.write_rows(root, 1, 0.5)
    return retrain(root)


def retrain_where_one_is_up(root: Path) -> Seconds:
    """The same after `make up`."""
    with Stack(root) as stack:
        command = (sys.executable, "-m", "flows", "retrain")
        return timed(lambda: run(root, *command), lambda: of_children() + stack.processor_seconds())


def on_pools(root: Path) -> Seconds:
    """A night, from its trigger to its end, on a stack that is up."""
    with Stack(root) as stack:
        return timed(lambda: undisturbed(stack), stack.processor_seconds)


WAYS: dict[str, Callable[[Path], Seconds]] = {
    "the stages alone": stages_alone,
    "`dvc repro`": repro,
    "`make retrain`, its own server and that one's new database included": retrain,
    "the same again, the database is there": retrain_again,
    "`make retrain` after `make up`": retrain_where_one_is_up,
    "a night on pools, with its worktree, commit and version": on_pools,
}


def timed(work: Callable[[], object], processors: Callable[[], float]) -> Seconds:
    """Return how many seconds the work takes on the clock, and how many of processors."""
    before, started = processors(), time.monotonic()
    work()
    return time.monotonic() - started, processors() - before


def of_children() -> float:
    """Return the processor seconds of all processes that this one has started and seen to their end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(root: Path, *command: str) -> None:
    """Run a command in the repository, which has to end well; `python` is the one of this process."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=root, env=os.environ | {"PATH": path}, check=True, capture_output=True)


if __name__ == "__main__":
    main()
