"""The champion's place in the worktree: what the version at prod is, beside which tonight's student is judged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from flows.commands import git, transfer
from flows.graph import Stage
from flows.meta import Champion
from handful.registry import Version

NAME = "version.json"  # put there last: where it is, all is


def fill(root: Path, stages: list[Stage], version: Version | None, say: Callable[[str], None]) -> None:
    """Put the champion where the stages look for it; with no version at prod the place is left empty."""
    for stage in stages:
        if stage.champion is not None:
            _fill(root, stage.champion, version, say)


def _fill(root: Path, champion: Champion, version: Version | None, say: Callable[[str], None]) -> None:
    target, made = root / champion.folder, root / ".dvc" / "tmp" / "champion"
    target.mkdir(parents=True, exist_ok=True)
    label = json.dumps({"version": version.name, "revision": version.revision}) if version else ""
    if version and (target / NAME).exists() and (target / NAME).read_text(encoding="utf-8") == label:
        return
    git(root, "clean", "--quiet", "-fdx", "--", champion.folder)
    if version is None:
        return
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for name, path in champion.takes.items():
        transfer(root, say, "get", ".", path, "--rev", version.revision, "--out", str(made / name))
    (made / NAME).write_text(label, encoding="utf-8")
    for name in (*champion.takes, NAME):
        shutil.move(made / name, target / name)
