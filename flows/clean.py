"""`python -m flows.clean`: removes the data that only old students need, by `dvc gc` where it knows all the others."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from flows.commands import CommandError, dvc, git, introduce
from flows.night import HOME, Night, NightError
from flows.worktree import only_night, only_one, share_cache
from handful import registry
from handful.errors import HandfulError
from handful.registry import ARTIFACT

KINDS = ("heads", "tags", "exps")  # of what git refers to, and DVC can look into


def main() -> None:
    """Clean up the clone in the working folder."""
    parser = argparse.ArgumentParser(prog="python -m flows.clean", description=__doc__)
    parser.add_argument("--keep", type=int, required=True, help="how many of the last versions stay whole, at least 1")
    parser.add_argument("--remote", action="store_true", help="remove from the DVC remote too")
    arguments = parser.parse_args()
    if arguments.keep < 1:
        parser.error(f"--keep must be at least 1, got {arguments.keep}")
    try:
        sys.stdout.write(f"{clean(Path.cwd(), arguments.keep, arguments.remote)}\n")
    except (CommandError, HandfulError, NightError) as error:
        sys.exit(str(error))


def clean(root: Path, keep: int, remote: bool) -> str:
    """Remove the data of versions that are neither among the last `keep` nor were ever at prod; return what DVC says.

    Their tags, metrics and lock files stay in git, so that the history is whole and a student can be made anew.
    """
    with only_night(root) as ours, only_one(root, "sweep") as too:
        if not (ours and too):
            raise NightError("A night is running, or a sweep, and no commit names its data yet. Clean up after it.")
        known = registry.read(root)
        promoted = {move.version for move in known.assignments}
        old = {one.revision for one in known.versions[:-keep] if one.name not in promoted}
        for night in [Night(root, folder.name) for folder in (root / HOME / "results").glob("*")]:
            if night.is_committed() and night.revision in old:
                shutil.rmtree(night.results)
        git(root, "worktree", "prune")
        introduce(root)
        return _collect(root, old, ["--cloud"] if remote else [])


def _collect(root: Path, old: set[str], options: list[str]) -> str:
    """Run `dvc gc` for every branch, tag and experiment of the clone but those that stand at an old version alone."""
    folder = root / HOME / "clean"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        git(root, "clone", "--quiet", "--shared", "--no-tags", str(root), str(folder))
        git(folder, "checkout", "--quiet", "--detach")
        git(folder, "fetch", "--quiet", "--no-tags", "origin", *(f"+refs/{kind}/*:refs/{kind}/*" for kind in KINDS))
        for name in _names(folder, old):
            git(folder, "update-ref", "-d", name)
        if git(root, "status", "--porcelain", "--untracked-files=no"):  # what is in no commit needs its data too
            git(folder, "fetch", "--quiet", "origin", f"{git(root, 'stash', 'create').strip()}:refs/tags/workspace")
        share_cache(root, folder)
        command = ["gc", "--force", "--workspace", "--all-branches", "--all-tags", "--all-experiments", *options]
        return dvc(folder, *command).strip()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _names(folder: Path, old: set[str]) -> Iterator[str]:
    ours = [f"refs/tags/{ARTIFACT}@*", "refs/heads/nightly/*", "refs/remotes/origin/nightly/*"]
    for line in git(folder, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", *ours).splitlines():
        name, *revisions = line.split()
        if old & set(revisions):
            yield name


if __name__ == "__main__":
    main()
