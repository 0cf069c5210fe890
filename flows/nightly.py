"""The nightly flow: one night at a time, its end said in its state, in an event and on a page."""

from datetime import UTC, datetime
from functools import partial
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
from flows.night_summary import page
from flows.outcome import KINDS, SKIPPED, STOPPED, Outcome
from flows.stage_runs import run_stages
from flows.stopped_summary import stopped
from flows.telling import Hands
from flows.unattended import introduce
from flows.worktree import only_night
from handful import registry
from handful.errors import HandfulError

FORESEEN = (NightError, CommandError, GraphError, HandfulError)  # their texts say all that a person needs
KEY = "night"


def _date() -> str:
    due = flow_run.scheduled_start_time or datetime.now(UTC)
    return due.astimezone(UTC).date().isoformat()


@flow(name="nightly", flow_run_name=lambda: f"nightly {_date()}")
def nightly() -> State[Any]:
    """Retrain on what is committed and imported today; the new student comes to prod only if evaluate says so."""
    root, date, outcomes = Path.cwd(), _date(), list[Outcome]()
    with only_night(root) as ours:
        if not ours:
            reason = "Another night is running; this one ends here."
            _tell(SKIPPED, date, reason)
            return Completed(name=SKIPPED.capitalize(), message=reason)
        before = None
        try:
            introduce(root)
            before = registry.read(root).champion
            pass_night(root, date, Hands(run_stages, partial(_show, outcomes), get_run_logger().info))
        except Exception as error:  # whatever it was: who waits for the event must hear of it
            reason = str(error) if isinstance(error, FORESEEN) else f"{type(error).__name__}: {error}"
            _tell(STOPPED, date, reason, stage=error.stage if isinstance(error, NightError) else None)
            create_markdown_artifact(stopped(root, date, reason, before), key=KEY)
            if isinstance(error, FORESEEN):
                return Failed(message=reason)
            raise
        kind = min((one.kind for one in outcomes), key=KINDS.index)
        said = [f"{one.version.name} {one.kind}. {one.reason}" for one in outcomes]
        return Completed(name=kind.capitalize(), message="\n".join(said))


def _show(outcomes: list[Outcome], outcome: Outcome, stages: list[Stage]) -> None:
    outcomes.append(outcome)
    _tell(outcome.kind, outcome.night.date, outcome.reason, outcome.version.name)
    for stage in stages if outcome.verdict else ():
        publish(stage, outcome.night.folder, "nightly")
    create_markdown_artifact(page(outcome, stages), key=KEY)


def _tell(kind: str, date: str, reason: str, version: str | None = None, stage: str | None = None) -> None:
    payload = {"date": date, "reason": reason, "version": version, "stage": stage}
    emit_event(f"handful.night.{kind}", resource={"prefect.resource.id": "handful.night"}, payload=payload)
