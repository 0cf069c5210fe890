"""What a night gives to other hosts, a commit at origin and data on the DVC remote, and what it takes back."""

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from flows import origin
from flows.champion import NAME
from flows.commands import git, transfer
from flows.graph import Stage
from flows.inputs import LOCK
from flows.launch import StageError, launch
from flows.likeness import installed
from flows.needs import needs
from flows.night import Night, NightError
from flows.place import place, short
from flows.results import has_remote


class Handed(BaseModel):
    """What the message of the commit tells the other host: the champion's commit and name, and the versions here."""

    champion: dict[str, str] | None
    installed: dict[str, str]


def reference(home: str, stage: str) -> str:
    """Name where origin keeps what a stage starts from: one place for each clone and stage, so no more."""
    return f"refs/handful/{short(home)}/{stage}"


def can_share(root: Path) -> bool:
    """Tell whether there are an origin and a DVC remote: hosts share nothing else but the Prefect API."""
    return origin.exists(root) and has_remote(root)


def hand_over(night: Night, stage: Stage, stages: list[Stage], say: Callable[[str], None]) -> str:
    """Push what the stage starts from, so that another host may run it; return the commit that it has to check out."""
    if paths := needs(stage, night.folder):
        transfer(night.folder, say, "push", *paths)
    commit = _commit(night, stages)
    origin.push(night.root, [f"+{commit}:{reference(place(night.root), stage.name)}"], say)
    return commit


def _commit(night: Night, stages: list[Stage]) -> str:
    """Commit the worktree as it is, to no branch."""
    folder = night.folder
    known = [path for path in (LOCK, *(path for one in stages for path in one.committed)) if (folder / path).exists()]
    git(folder, "add", "--update")
    git(folder, "add", *known)
    labels = [folder / one.champion.folder / NAME for one in stages if one.champion]
    champion = next((json.loads(label.read_text(encoding="utf-8")) for label in labels if label.exists()), None)
    handed = Handed(champion=champion, installed=installed(folder))
    tree = git(folder, "write-tree").strip()
    return git(folder, "commit-tree", tree, "-p", "HEAD", "-m", handed.model_dump_json()).strip()


def bring_home(night: Night, stage: Stage, say: Callable[[str], None]) -> None:
    """Take what another host made of the stage from the DVC remote; what ran here is in its place already.

    Raises:
        NightError: the remote does not have it. It is not computed here, where perhaps no GPU is.
    """

    def take(line: str) -> None:
        say(line)
        if line == f"Running stage '{stage.name}':":
            raise NightError(
                f"What another host made of stage {stage.name} is not on the DVC remote. Start the night again."
            )

    try:
        launch(stage.name, night.folder, stage.timeout_seconds, take, pull=True)
    except StageError as error:
        raise NightError(str(error)) from None
