"""Progress of long work, as log lines that a person and an orchestrator can both read."""

import logging

log = logging.getLogger("handful.progress")


def report(share: float, what: str) -> None:
    """Say that `share` (0 to 1) of `what` is done: a line such as `[ 42%] fine-tuning, fold 2 of 3`."""
    log.info("[%3.0f%%] %s", 100 * share, what)
