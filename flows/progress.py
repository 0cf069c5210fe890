"""How far a stage is, read from its lines and shown as one progress artifact."""

import re
import time
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.artifacts import key

LINE = re.compile(r"\[ *(\d+)%\] (.*)")
SECONDS_BETWEEN_UPDATES = 1.0


class Progress:
    """The progress artifact of one stage, made when the stage first says how far it is."""

    def __init__(self, stage: str) -> None:
        self.key = key(stage, "progress")
        self.artifact: Any = None
        self.updated_at = 0.0

    def follow(self, line: str) -> None:
        """Take over what a line such as `[ 42%] fine-tuning, fold 2 of 3` says; any other line is passed by."""
        said = LINE.fullmatch(line)
        if said is None:
            return
        share, what = float(said[1]), said[2]
        if self.artifact is None:
            self.artifact = create_progress_artifact(share, key=self.key, description=what)
        elif share == 100 or time.monotonic() - self.updated_at >= SECONDS_BETWEEN_UPDATES:
            update_progress_artifact(self.artifact, share, description=what)
        else:
            return
        self.updated_at = time.monotonic()
