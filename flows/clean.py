"""`python -m flows.clean`: removes the data that only old students need, by `dvc gc` where it knows all the others."""

import argparse
import shutil
import sys
from pathlib import Path

from flows import origin
from flows.collect import collect, undisturbed
from flows.commands import CommandError, git
from flows.night import NightError
from flows.unattended import introduce
from flows.worktree import nights, only_night, only_one
from handful import registry
from handful.errors import HandfulError


def main() -> None:
    """Clean up the clone in the working folder."""
    parser = argparse.ArgumentParser(prog="python -m flows.clean", description=__doc__)
    parser.add_argument("--keep", type=int, required=True, help="how many of the last versions stay whole, at least 1")
    parser.add_argument("--remote", action="store_true", help="remove from the DVC remote too")
    arguments = parser.parse_args()
    if arguments.keep < 1:
        parser.error(f"--keep must be at least 1, got {arguments.keep}")
    try:
        _say(clean(Path.cwd(), arguments.keep, arguments.remote))
    except (CommandError, HandfulError, NightError) as error:
        sys.exit(str(error))


def clean(root: Path, keep: int, remote: bool) -> str:
    """Remove the data of versions that are neither among the last `keep` nor were ever at prod; return what DVC says.

    Their tags, metrics and lock files stay in git, so that the history is whole and a student can be made anew.
    """
    with only_night(root) as ours, only_one(root, "sweep") as too:
        if not (ours and too):
            raise NightError("A night is running, or a sweep, and no commit names its data yet. Clean up after it.")
        if remote:  # which is origin's too: what others pushed and promoted there needs its data
            origin.fetch_all(root, _say)
        known = registry.read(root)
        promoted = {move.version for move in known.assignments}
        old = {one.revision for one in known.versions[:-keep] if one.name not in promoted}
        with undisturbed(root):  # nothing goes where that is refused
            _remove_results(root, keep, old)
            git(root, "worktree", "prune")
            introduce(root)
            return collect(root, old, remote)


def _remove_results(root: Path, keep: int, old: set[str]) -> None:
    """Remove what people could look at of the nights that made the old versions, and of stopped ones but the last."""
    shown = nights(root, "results")
    stopped = [night for night in shown if not night.is_committed()]
    made_old = [night for night in shown if night.is_committed() and night.revision in old]
    for night in [*made_old, *stopped[:-keep]]:
        shutil.rmtree(night.results)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
