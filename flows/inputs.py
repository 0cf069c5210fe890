"""What a night starts from: the results of the last version, today's data, and what has changed between the two."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flows.commands import CommandError, dvc, git, transfer
from flows.graph import Stage, read_locked
from flows.night import Night
from handful.registry import Version

LOCK = "dvc.lock"  # by DVC's convention


def take_results(night: Night, stages: list[Stage], last: Version) -> None:
    """Put the last version's lock file and metrics into the worktree, and its imports if nobody edited them since."""
    folder, wanted = night.folder, [LOCK, *(path for stage in stages for path in stage.metrics)]
    try:
        base = git(folder, "merge-base", "HEAD", last.revision).strip()
    except CommandError:  # a shallow clone knows of no commit that both come from: then all that differs was edited
        base = last.revision
    edited = git(folder, "diff", "--name-only", base, "HEAD", "--", *_tracked(folder)).splitlines()
    wanted += [path for path in _tracked(folder) if path not in edited]
    known = git(folder, "ls-tree", "-r", "--name-only", last.revision, "--", *wanted).splitlines()
    if known:
        git(folder, "checkout", "--quiet", last.revision, "--", *known)


def fetch_data(night: Night, say: Callable[[str], None]) -> None:
    """Bring the data that DVC tracks into the worktree; imported data as it is at its source today."""
    imports = _tracked(night.folder, only_imports=True)
    if imports:
        transfer(night.folder, say, "update", *imports)
    if files := _tracked(night.folder):
        try:
            dvc(night.folder, "checkout", *files)
        except CommandError:  # the clone's cache lacks it
            transfer(night.folder, say, "pull", *files)


def changes(night: Night, stages: list[Stage]) -> dict[str, list[str]]:
    """What the stages would work on that the last version did not have: by stage, in words.

    A result that is merely not there can come from the cache; a new champion alone is no reason to train.
    """
    said: dict[str, list[Any]] = json.loads(dvc(night.folder, "status", "--json", *(stage.name for stage in stages)))
    found = {name: [word for note in notes for word in _words(note)] for name, notes in said.items()}
    excused = {name: _excused(stages, locked) for name, locked in read_locked(night.folder).items()}
    kept = {name: [word for word in words if word not in excused[name]] for name, words in found.items()}
    return {name: words for name, words in kept.items() if words}


def _excused(stages: list[Stage], locked: set[str]) -> set[str]:
    """What is said of a stage in any worktree. Of a path that its last run did not know it is news."""
    absent = {f"{out} deleted" for stage in stages for out in stage.outs if out in locked}
    folders = {stage.champion.folder for stage in stages if stage.champion} & locked
    return absent | {f"{folder} {how}" for folder in folders for how in ("modified", "deleted")}


def _words(note: Any) -> Iterator[str]:
    if isinstance(note, str):
        yield note
        return
    for paths in note.values():
        for path, how in paths.items():
            keys = how.items() if isinstance(how, dict) else [("", how)]
            yield from (" ".join(filter(None, (path, key, word))) for key, word in keys)


def _tracked(folder: Path, only_imports: bool = False) -> list[str]:
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        files = [stage for stage in repo.index.stages if stage.is_data_source]
        return sorted(stage.path_in_repo for stage in files if stage.is_import or not only_imports)
