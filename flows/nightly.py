"""The nightly flow: one night at a time, its end said in its state, in an event and on a page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.artifacts import publish
from flows.commands import CommandError
from flows.course import pass_night
from flows.graph import GraphError, Stage
from flows.night import NightError
from flows.night_summary import left_out, page
from flows.outcome import STOPPED, Outcome
from flows.stage_runs import run_stages
from flows.telling import Hands
from flows.unattended import introduce
from flows.worktree import only_night
from handful import registry
from handful.errors import HandfulError

FORESEEN = (NightError, CommandError, GraphError, HandfulError)  # their texts say all that a person needs
KEY = "night"
AGAIN = "Started again on the same date, the night goes on where it stopped."


@flow(name="nightly", flow_run_name="nightly")
def nightly() -> State[Any]:
    """Retrain on what is committed and imported today; the new student comes to prod only if evaluate says so."""
    root, due = Path.cwd(), flow_run.scheduled_start_time or datetime.now(UTC)
    date = due.astimezone(UTC).date().isoformat()
    with only_night(root) as ours:
        if not ours:
            return Completed(message="Another night is running; this one ends here.")
        introduce(root)
        before = _at_prod(root)
        try:
            outcome = pass_night(root, date, Hands(run_stages, _show, get_run_logger().info))
        except Exception as error:  # whatever it was: who waits for the event must hear of it
            reason = str(error) if isinstance(error, FORESEEN) else f"{type(error).__name__}: {error}"
            _tell(STOPPED, date, reason, None)
            text = [
                f"# Night of {date}: stopped",
                f"```text\n{reason}\n```",
                f"{_moved(before, _at_prod(root))} {AGAIN}",
                *left_out(root),
            ]
            create_markdown_artifact("\n\n".join(text), key=KEY)
            if isinstance(error, FORESEEN):
                return Failed(message=reason)
            raise
        version = outcome.version.name if outcome.version else None
        _tell(outcome.kind, date, outcome.reason, version)
        return Completed(message=f"{version} {outcome.kind}. {outcome.reason}")


def _at_prod(root: Path) -> str | None:
    champion = registry.read(root).champion
    return champion.name if champion else None


def _moved(before: str | None, now: str | None) -> str:
    return "What was at prod stays there." if now == before else f"{now} came to prod before that."


def _show(outcome: Outcome, stages: list[Stage]) -> None:
    for stage in stages if outcome.verdict else ():
        publish(stage, outcome.night.folder, "nightly")
    create_markdown_artifact(page(outcome, stages), key=KEY)


def _tell(kind: str, date: str, reason: str, version: str | None) -> None:
    payload = {"date": date, "reason": reason, "version": version}
    emit_event(f"handful.night.{kind}", resource={"prefect.resource.id": "handful.night"}, payload=payload)
