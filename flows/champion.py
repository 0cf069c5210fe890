"""The champion's place in the worktree: what the version at prod is, beside which tonight's student is judged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from flows.commands import CommandError, git, transfer
from flows.graph import Stage
from flows.meta import Champion
from flows.night import NightError
from flows.results import has_remote
from handful.registry import Version

NAME = "version.json"  # put there last: where it is, all is


def fill(root: Path, stages: list[Stage], version: Version | None, say: Callable[[str], None]) -> None:
    """Put the champion where the stages look for it; with no version at prod the place is left empty.

    Raises:
        NightError: the clone's cache lacks it, and there is no DVC remote to ask.
    """
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
        try:
            transfer(root, say, "get", ".", path, "--rev", version.revision, "--out", str(made / name))
        except CommandError as error:
            raise error if has_remote(root) else NightError(f"{error}\n{_advice(version)}") from None
    (made / NAME).write_text(label, encoding="utf-8")
    for name in (*champion.takes, NAME):
        shutil.move(made / name, target / name)


def _advice(version: Version) -> str:
    return (
        f"The night is to compare with {version.name}, which is at prod, but this clone's cache lacks its data, and "
        "no default DVC remote has them. Copy .dvc/cache from a clone that has them, or push them from there to a DVC "
        "remote that both know. If they are lost, take the version from prod, and the next will be the first there: "
        f"gto deprecate student {version.name} prod"
    )
