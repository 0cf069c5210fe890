"""The lock that a stage holds on its folder while it runs; the same stage and the next night there wait for it."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(".dvc") / "tmp"  # of the worktree: a lock goes with it, and git does not see it


@contextmanager
def alone(stage: str, root: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until the stage does not run in the folder, where DVC would fail. The lock ends with its process, however.

    Other stages may run there: who starts them sees to it that none reads what another writes, and DVC writes its
    files for one after the other.
    """
    (root / FOLDER).mkdir(exist_ok=True)
    with _held(root / FOLDER / f"stage-{stage.replace('/', '-')}.lock", say):
        yield


def wait_for_all(root: Path, say: Callable[[str], None]) -> None:
    """Wait until no stage runs in the folder: a night was killed, and its stages are runs of their own that live on.

    Git would change their files under them. And DVC lets go of its own lock while a stage's command runs, so that its
    --wait-for-lock does not wait for one.
    """
    for file in sorted((root / FOLDER).glob("stage-*.lock")):
        with _held(file, say):
            pass


@contextmanager
def _held(file: Path, say: Callable[[str], None]) -> Iterator[None]:
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Stage {file.stem.removeprefix('stage-')} still runs in this folder; waiting for its end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
