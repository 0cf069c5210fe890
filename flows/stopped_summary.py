"""The page of a night that was stopped, and for all pages what was no part of the night."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from flows import origin
from flows.announced import keep, shown
from flows.changed import CHANGED, changed
from flows.commands import git
from flows.earlier import version_before
from flows.gates import named, said
from flows.graph import read_stages
from flows.markdown import section, table
from flows.night import Night
from flows.worktree import nights
from handful import registry
from handful.registry import Version


def stopped(root: Path, date: str, reason: str, before: Version | None) -> str:
    """Write the page of a night that was stopped; `before` is what was at prod when it began."""
    parts = [f"# Night of {date}: stopped", f"```text\n{reason}\n```"]
    for more in (partial(_standing, root, before), partial(_of_date, root, date), partial(left_out, root)):
        with suppress(Exception):  # what stopped it may be dvc.yaml itself, or git; what was said before that stays
            parts += more()
    return "\n\n".join(parts)


def _standing(root: Path, before: Version | None) -> Iterator[str]:
    yield "Started again on the same date, the night goes on where it stopped."
    now = registry.read(root).champion
    if now is None:
        yield "Nothing is at prod."
    else:
        yield f"{now.name} stays at prod." if now == before else f"{now.name} came to prod before that."


def _of_date(root: Path, date: str) -> Iterator[str]:
    for night in nights(root):
        if night.date == date:
            yield from _made(night)


def _made(night: Night) -> Iterator[str]:
    """Say what was new and how far its stages came, and keep what they announce, such as the rows that were refused."""
    yield f"What its stages made lies in `{night.folder}` until the next night."
    stages = read_stages(night.folder)
    kept, before = keep(night, stages), version_before(night)
    yield from section(CHANGED, changed(night, stages, before))
    reached = {title: gate for title, gate in named(stages).items() if (night.folder / gate.file).exists()}
    yield from said(night, reached, before)
    for name, path in kept.items():
        yield from shown(name, path)


def left_out(root: Path) -> list[str]:
    """Name what was no part of the night, because nobody committed it or nobody joined it with the clone's commits."""
    names = git(root, "status", "--porcelain").splitlines()
    missing = origin.latest(root)[1] if git(root, "rev-list", "-1", "--all") else 0
    apart = f"Commits at origin: {missing}. This clone has commits of its own, so join the two by git pull."
    return [
        *section("Not part of the night, because it is not committed", table(["file"], ([name[3:]] for name in names))),
        *section("Not part of the night, because it is at origin alone", apart if missing else ""),
    ]
