"""`dvc gc` with every branch and tag in view, here and at origin, but those that stand at an old version alone."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import origin
from flows.commands import dvc, git
from flows.night import NightError
from flows.place import HOME
from flows.worktree import share_cache
from handful.registry import ARTIFACT, FETCH

# What git refers to, and as what DVC will look into it: it knows the branches of the clone alone, not those of origin.
REFS = [f"+refs/{one}/*:refs/{one}/*" for one in ("heads", "tags", "exps")] + ["+refs/remotes/*:refs/heads/remotes/*"]


@contextmanager
def undisturbed(root: Path) -> Iterator[None]:
    """Keep DVC from working in the clone, or say that it is. A stage holds the second lock alone while it runs."""
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import rwlock

    with Repo(str(root)) as repo:
        all_of_it = {"read": list[str](), "write": [str(root)], "hardlink": repo.config["core"]["hardlink_lock"]}
        try:
            with repo.lock, rwlock(repo.tmp_dir, repo.fs, "python -m flows.clean", **all_of_it):
                yield
        except LockError as error:
            raise NightError(f"DVC is at work in {root}, so clean up after it. {error}") from None


def collect(root: Path, old: set[str], remote: bool) -> str:
    """Run `dvc gc` for every branch, tag and experiment of the clone but those that stand at an old version alone."""
    folder = root / HOME / "clean"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        git(root, "clone", "--quiet", "--shared", "--no-tags", "--origin", "origin", str(root), str(folder))
        git(folder, "checkout", "--quiet", "--detach")
        git(folder, "fetch", "--quiet", "--no-tags", "origin", *REFS)
        for name in _names(folder, old):
            git(folder, "update-ref", "-d", name)
        if git(root, "status", "--porcelain", "--untracked-files=no"):  # what is in no commit needs its data too
            git(folder, "fetch", "--quiet", "origin", f"{git(root, 'stash', 'create').strip()}:refs/tags/workspace")
        _bring_untracked(root, folder)
        if remote and origin.exists(root):  # whose DVC remote it is too
            _bring_experiments(root, folder)
        share_cache(root, folder)
        command = ["gc", "--force", "--workspace", "--all-branches", "--all-tags", "--all-experiments"]
        return dvc(folder, *command, *(["--cloud"] if remote else [])).strip()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bring_untracked(root: Path, folder: Path) -> None:
    """Show DVC in `folder` what nobody has told git of yet: it needs its data too."""
    names = git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "*.dvc", "*dvc.yaml", "*dvc.lock")
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, folder / name)


def _bring_experiments(root: Path, folder: Path) -> None:
    """Show DVC in `folder` the experiments that were pushed to origin, which have no name in the clone, as branches."""
    said = git(root, "ls-remote", "origin", "refs/exps/*", timeout_seconds=origin.SECONDS)
    there = dict(line.split() for line in said.splitlines())
    if there:
        git(root, *FETCH, *there.values(), timeout_seconds=origin.SECONDS)
    for commit in there:
        git(folder, "update-ref", f"refs/heads/remotes/exps/{commit}", commit)


def _names(folder: Path, old: set[str]) -> Iterator[str]:
    ours = [f"refs/tags/{ARTIFACT}@*", "refs/heads/nightly/*", "refs/heads/remotes/origin/nightly/*"]
    for line in git(folder, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", *ours).splitlines():
        name, *revisions = line.split()
        if old & set(revisions):
            yield name
