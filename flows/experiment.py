"""One trial of a sweep as a DVC experiment, made in a clone of its own, so that the user's files are left alone."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.commands import dvc, git
from flows.graph import Stage, read_stages
from flows.place import HOME
from flows.space import SweepError
from flows.values import PARAMS, put
from flows.worktree import share_cache


@dataclass(frozen=True)
class Experiment:
    """The commit `revision` with other values in params.yaml, as DVC keeps it under `name` when it was made."""

    root: Path
    revision: str
    name: str
    values: dict[str, Any]

    @property
    def reference(self) -> str:
        """Where it is in git."""
        return f"refs/exps/{self.revision[:2]}/{self.revision[2:]}/{self.name}"

    def is_made(self) -> bool:
        """Tell whether it is there, with these values."""
        known = git(self.root, "for-each-ref", self.reference)
        return bool(known) and git(self.root, "show", f"{self.reference}:{PARAMS}") == self._params()

    def make(self) -> str:
        """Run the stages up to the one with `meta.objective`, as far as the cache lacks them; return what DVC says."""
        folder = self.root / HOME / "trials" / self.name
        shutil.rmtree(folder, ignore_errors=True)  # of a sweep that was killed
        try:
            git(self.root, "clone", "--quiet", "--shared", "--no-checkout", "--no-tags", str(self.root), str(folder))
            git(folder, "checkout", "--quiet", "--detach", self.revision)
            share_cache(self.root, folder, autostage=True)  # or a lock file that is not committed yet stays outside
            (folder / PARAMS).write_text(self._params(), encoding="utf-8")
            stages = read_stages(folder)
            last = objective(stages)
            for path in (path for stage in stages[stages.index(last) + 1 :] for path in stage.metrics):
                if (folder / path).exists():  # a trial has no figure of the test rows
                    (folder / path).write_text("{}\n", encoding="utf-8")
            said = dvc(folder, "exp", "run", "--name", self.name, last.name)
            fetched = f"+{self.reference}:{self.reference}"
            git(self.root, "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance", str(folder), fetched)
            return said
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def figures(self) -> dict[str, float]:
        """Return accuracy and log loss of the teacher on labelled rows that were held out."""
        from dvc.api import read  # its metrics_show wants the file in the working folder as well

        path = str(objective(read_stages(self.root)).objective)
        found = json.loads(read(path, repo=str(self.root), rev=self.reference))["chosen"]
        if found["accuracy"] is None:
            raise SweepError(f"{path} of {self.name} has no figures, because {found['reason']}.")
        return {name: found[name] for name in ("accuracy", "log_loss")}

    def _params(self) -> str:
        return put(git(self.root, "show", f"{self.revision}:{PARAMS}"), self.values)


def objective(stages: list[Stage]) -> Stage:
    """Return the stage whose `meta` names the file that a sweep goes by."""
    for stage in stages:
        if stage.objective is not None:
            return stage
    raise SweepError("No stage of dvc.yaml has meta.objective, the file that a sweep goes by.")
