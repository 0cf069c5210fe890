"""A stage of another clone's night on this host: checked out, its data pulled, and what it made pushed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flows import champion
from flows.checkout import VisitError, checked_out
from flows.commands import CommandError, git, transfer
from flows.graph import Stage, read_stages
from flows.handover import Handed, reference
from flows.likeness import require_alike
from flows.needs import needs, reads
from flows.results import push_results
from flows.worktree import share_cache
from handful.registry import Version


@contextmanager
def visit(
    clone: Path, home: str, name: str, commit: str | None, say: Callable[[str], None]
) -> Iterator[tuple[Stage, Path]]:
    """Give the stage and a worktree of this clone in which it can run as it would at home; remove it afterwards.

    Raises:
        VisitError: what the stage starts from was not pushed, or not for this run.
        UnlikeError: this host differs from the one that asks.
        CommandError: git or DVC failed, over the network for instance.
    """
    if commit is None:
        raise VisitError(
            f"Stage {name} was started at {home} for the workers there alone: no others were up then, or there is no "
            "origin and default DVC remote to share it by. Start the night again."
        )
    with checked_out(clone, reference(home, name), commit, say) as folder:
        handed = Handed.model_validate_json(git(folder, "log", "-1", "--format=%B"))
        require_alike(clone, folder, commit, handed.installed)
        share_cache(clone, folder)
        stages = read_stages(folder)
        [stage] = [one for one in stages if one.name == name]
        _fill(folder, [one for one in stages if one.champion and reads(stage, one.champion.folder)], handed, say)
        if paths := needs(stage, folder):
            transfer(folder, say, "pull", *paths)
        yield stage, folder


def give_back(stage: Stage, folder: Path, say: Callable[[str], None]) -> None:
    """Push what the stage made, and that it was made.

    Raises:
        VisitError: the DVC remote does not take it.
    """
    try:
        push_results(folder, stage, say)
    except CommandError as error:
        raise VisitError(
            f"Stage {stage.name} is done, but the DVC remote does not take what it made: is it full, or may this host "
            "not write there? Mend that and start the night again; this host keeps the result in its cache.\n"
            f"{error}"
        ) from None


def _fill(folder: Path, stages: list[Stage], handed: Handed, say: Callable[[str], None]) -> None:
    """Put the champion where the stages look for it."""
    if handed.champion is not None:
        version = Version(handed.champion["version"], handed.champion["revision"], datetime.now(UTC))
        champion.fill(folder, stages, version, say)
