"""One stage under DVC in a process group of its own, which never outlives the process that started it."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import environment
from flows.process_group import Limits, process_group
from flows.stage_locks import alone

LAST_LINES = 20
ADVICE = "To track the changes with git, run:"  # and all that DVC tells a person to do after it
RAN, UNCHANGED, CACHED = "ran", "unchanged", "cached"
PULLED = "pulled"  # said first, and the last word unless what was to be pulled is not there
SAYINGS = {  # DVC says one of these before the stage can print anything
    "Running stage '{}':": RAN,
    "Stage '{}' didn't change, skipping": UNCHANGED,
    "Stage '{}' is cached - skipping run, checking out outputs": CACHED,
    "Pulling data for stage: '{}'": PULLED,
}


class StageError(Exception):
    """A stage failed or took too long; the text ends with the last lines that it printed."""


def launch(stage: str, root: Path, seconds: float | None, say: Callable[[str], None], pull: bool = False) -> str:
    """Run `dvc repro` for one stage in `root`, pass on each line but DVC's advice, and return RAN, UNCHANGED or CACHED.

    With `pull`, what the DVC remote has of its results is taken from there.

    Raises:
        StageError: the stage failed, or ran longer than `seconds`.
        TakenOverError: the folder is another night's now.
    """
    verdicts = {saying.format(stage): verdict for saying, verdict in SAYINGS.items()}
    outcome, tail = None, deque[str](maxlen=LAST_LINES)
    options = ["--single-item", *(["--pull"] if pull else [])]
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *options, stage]
    limits = Limits(seconds, root)
    with alone(stage, root, say), process_group(command, limits, **_settings(root)) as process:
        for line in map(str.rstrip, process.stdout or ()):
            outcome = verdicts.get(line, outcome) if outcome in (None, PULLED) else outcome
            tail.append(line)
            if ADVICE not in tail:
                say(line)
        process.wait()
    if outcome is None or process.returncode != 0:
        why = limits.broken or f"ended with {process.returncode}"
        raise StageError("\n".join([f"Stage {stage} {why}. Its last lines:", *tail]))
    return CACHED if outcome == PULLED else outcome


def _settings(root: Path) -> dict[str, Any]:
    variables = {"PATH": environment.path(), "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return {"cwd": root, "env": os.environ | variables, **pipes}
