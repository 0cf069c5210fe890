"""`python -m benchmarks.overhead`: what DVC and Prefect take over the stages alone, in a process and on pools."""

import argparse
import os
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


def main() -> None:
    """Run the same seven stages in four ways, each in a new repository, and print a table of the seconds."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    bare = 0.0
    say("| how | seconds | over the stages alone |\n|---|---|---|")
    for number, (name, way) in enumerate(WAYS.items()):
        with tempfile.TemporaryDirectory() as folder:
            seconds = way(toy.make(Path(__file__).parents[1], Path(folder) / "toy", SECONDS_OF_A_STAGE))
        bare = bare if number else seconds
        say(f"| {name} | {seconds:.1f} | {seconds - bare:+.1f} |")


def stages_alone(root: Path) -> float:
    """Each stage's command, one after the other, as dvc.yaml has it."""
    graph = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
    return timed(lambda: [run(root, "/bin/sh", "-c", stage["cmd"]) for stage in graph["stages"].values()])


def repro(root: Path) -> float:
    """DVC without Prefect."""
    return timed(lambda: run(root, sys.executable, "-m", "dvc", "repro"))


def retrain(root: Path) -> float:
    """What `make retrain` does where no server is up."""
    return timed(lambda: run(root, sys.executable, "-m", "flows", "retrain"))


def on_pools(root: Path) -> float:
    """A night, from its trigger to its end, on a stack that is up."""
    stack = Stack(root)
    stack.up()
    try:
        return undisturbed(stack)
    finally:
        stack.down()


WAYS: dict[str, Callable[[Path], float]] = {
    "the stages alone": stages_alone,
    "`dvc repro`": repro,
    "`make retrain`, its own server included": retrain,
    "a night on pools, with its worktree, commit and version": on_pools,
}


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds the work takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def run(root: Path, *command: str) -> None:
    """Run a command in the repository, which has to end well; `python` is the one of this process."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=root, env=os.environ | {"PATH": path}, check=True, capture_output=True)


if __name__ == "__main__":
    main()
