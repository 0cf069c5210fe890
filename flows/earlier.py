"""The version before a night, and what it had in its files."""

from pathlib import Path
from typing import Any

from flows.night import Night
from handful import registry
from handful.registry import Version


def version_before(night: Night) -> Version | None:
    """Return the newest version that is older than the night's own."""
    known = registry.read(night.root)
    own = known.made_by(night.revision) if night.is_committed() else None
    earlier = [version for version in known.versions if own is None or version.registered < own.registered]
    return earlier[-1] if earlier else None


def read_earlier(root: Path, revision: str, path: str) -> Any:
    """Read a file of JSON, YAML or TOML as a commit has it, from git or DVC's cache; None where neither has it."""
    from dvc.repo import Repo
    from dvc.utils.serialize import load_path

    nowhere = {"core": {"remote": ""}}  # a page does not wait for a network
    try:
        with Repo(str(root), rev=revision, config=nowhere) as repo:
            return load_path(path, repo.dvcfs)
    except FileNotFoundError:
        return None
