"""`python -m flows.sweep run`: hyper-parameters and seeds, tried as DVC experiments; `apply` takes the best."""

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flows.access import AccessError
from flows.commands import CommandError
from flows.graph import GraphError
from flows.plan import read_sweep
from flows.server import UpError
from flows.space import SweepError
from flows.temporary import enter_prefect
from flows.unattended import introduce
from flows.values import PARAMS, look_up, put
from flows.worktree import only_one
from handful.errors import HandfulError, MissingExtraError

if TYPE_CHECKING:
    from flows.study import Study

FORESEEN = (AccessError, CommandError, GraphError, HandfulError, SweepError, UpError)


def main() -> None:
    """Run one command on the clone in the working folder."""
    parser = argparse.ArgumentParser(prog="python -m flows.sweep", description=__doc__)
    parser.add_argument("command", choices=["run", "apply"])
    command = {"run": run, "apply": apply}[parser.parse_args().command]
    try:
        sys.stdout.write(f"{command(Path.cwd())}\n")
    except FORESEEN as error:
        sys.exit(str(error))


def run(root: Path) -> str:
    """Try what sweep.yaml says, or what is left of it, and return how it ended."""
    with only_one(root, "sweep") as ours:
        if not ours:
            raise SweepError("Another sweep is running on this clone. Let it end, or stop it.")
        study = _study(root)
        study.begin(root)  # what is wrong is said before anything is started
        introduce(root)
        wait = enter_prefect(root)
        from flows import room, standing, trials  # Prefect reads its settings when it is imported

        wait()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # by default, Ctrl-C waits for the trials
        state = trials.sweep.with_options(task_runner=room.task_runner(study.sweep))(root, return_state=True)
        if not state.is_completed():
            raise SweepError(str(state.message))
        return f"{standing.verdict(study)} To write it into {PARAMS}: python -m flows.sweep apply"


def apply(root: Path) -> str:
    """Write the best values so far into params.yaml, where nothing else changes, and return what was done."""
    study = _study(root)
    from flows.standing import best, verdict

    text, values = (root / PARAMS).read_bytes().decode(), study.values(best(study))  # bytes keep the ends of lines
    better = {place: value for place, value in values.items() if look_up(text, place) != value}
    changes = [f"  {place}: {look_up(text, place)} → {value}" for place, value in better.items()]
    (root / PARAMS).write_bytes(put(text, better).encode())
    return "\n".join([verdict(study), *changes])


def _study(root: Path) -> "Study":
    settings = read_sweep(root)
    try:
        from flows.study import Study
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "sweep") from None
    return Study(root, settings)


if __name__ == "__main__":
    main()
