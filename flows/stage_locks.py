"""Who may work in a folder: one run of a stage at a time, and in a night's worktree only those that it has started."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(".dvc") / "tmp"  # of the worktree: what is in it goes with it, and git does not see it
OWNER = "night.txt"
NO_RUN = "no run of Prefect"


class TakenOverError(Exception):
    """The night that started this stage is gone, and another one works in its folder."""


@contextmanager
def alone(stage: str, root: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until the stage does not run in the folder, where DVC would fail. The lock ends with its process, however.

    Other stages may run there: who starts them sees to it that none reads what another writes, and DVC writes its
    files for one after the other.

    Raises:
        TakenOverError: meanwhile the folder is another night's.
    """
    (root / FOLDER).mkdir(exist_ok=True)
    with _held(root / FOLDER / f"stage-{stage.replace('/', '-')}.lock", say):
        owner = root / FOLDER / OWNER
        if owner.exists() and owner.read_text() not in _runs():
            raise TakenOverError(f"The night that started {stage} has ended, and another one works in {root} now.")
        yield


def take_over(root: Path, say: Callable[[str], None]) -> None:
    """Make the folder the night's that calls, and wait for the stages that run there.

    A night that was killed leaves them, as runs of their own: git would change their files under them, and DVC lets go
    of its own lock while a stage's command runs, so that its --wait-for-lock does not wait for one. Those that have
    not begun by now find that the folder is not theirs: the owner is written before, and read after, the locks are.
    """
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / OWNER).write_text(_runs()[0])
    for file in sorted((root / FOLDER).glob("stage-*.lock")):
        with _held(file, say):
            pass


def _runs() -> tuple[str, str]:
    """Return the ids of the flow run that calls and of its parent."""
    from prefect.runtime import flow_run  # reads Prefect's settings, which our commands set before

    return flow_run.get_id() or NO_RUN, flow_run.get_parent_flow_run_id() or NO_RUN


@contextmanager
def _held(file: Path, say: Callable[[str], None]) -> Iterator[None]:
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Stage {file.stem.removeprefix('stage-')} still runs in this folder; waiting for its end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
