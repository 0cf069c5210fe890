"""How the results of stages come to the DVC remote so that another clone takes them from there instead of computing."""

from collections.abc import Callable
from pathlib import Path

from flows.commands import CommandError, over_network, transfer
from flows.graph import Stage


def has_remote(root: Path) -> bool:
    """Tell whether there is a default DVC remote; one of another name has its data alone, such as what is imported."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return bool(repo.config["core"].get("remote"))


def push_all(folder: Path, stages: list[Stage], say: Callable[[str], None]) -> None:
    """Push all data of the workspace, and that these stages, all that there are, made it."""
    _push(folder, [], stages, say)


def push_results(folder: Path, stage: Stage, say: Callable[[str], None]) -> None:
    """Push what one stage made, and that it did."""
    _push(folder, [stage.name], [stage], say)


def _push(folder: Path, targets: list[str], stages: list[Stage], say: Callable[[str], None]) -> None:
    transfer(folder, say, "push", "--run-cache", *targets)
    uncached = {(folder / path).resolve() for stage in stages for path in stage.uncached}
    if uncached:
        over_network(say, lambda: _push_uncached(folder, uncached))


def _push_uncached(folder: Path, paths: set[Path]) -> str:
    """Push what git carries too. DVC leaves it out, and without it the run cache is of no use elsewhere."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        known = {out.hash_info for out in repo.index.outs if Path(out.fs_path).resolve() in paths and out.hash_info}
        failed = repo.cloud.push(known).failed
    if failed:
        raise CommandError(f"dvc push: the remote did not take {', '.join(map(str, paths))}.")
    return ""
