"""The stages of a night, each a run of its own on its work pool, as soon as those that it waits for are done."""

import time
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.states import Cancelled

from flows import workers
from flows.children import cancelled_together
from flows.deployments import deploy_stages
from flows.graph import Stage
from flows.handover import bring_home, can_share, hand_over
from flows.night import Night, NightError
from flows.place import place

SECONDS_BETWEEN_LOOKS = 1.0
PATIENCE_SECONDS = 180.0  # after a worker was last seen by anybody it counts as online for 90


@dataclass(frozen=True)
class Started:
    """A stage's run, when it was started, and whether another host may have it."""

    stage: Stage
    run: UUID
    at: float
    handed: bool


def run_stages(night: Night, stages: list[Stage]) -> None:
    """Run every stage for the night's worktree, here or on other hosts.

    Raises:
        NightError: a stage did not complete; the text is what its run said. Those beside it have come to their end.
    """
    deploy_stages(stages, night.root)  # dvc.yaml may have got another stage since the last night
    waiting, done, under_way, wrong = list(stages), set[str](), list[Started](), list[str]()
    with cancelled_together():
        while (waiting and not wrong) or under_way:
            for stage in [one for one in waiting if done.issuperset(one.upstream) and not wrong]:
                waiting.remove(stage)
                under_way.append(_start(night, stage, stages))
            time.sleep(SECONDS_BETWEEN_LOOKS)
            for started in [one for one in under_way if _is_over(one, wrong)]:
                under_way.remove(started)
                if started.handed and not wrong:
                    bring_home(night, started.stage, get_run_logger().info)
                done.add(started.stage.name)
    if wrong:
        raise NightError("\n".join(wrong))


def _start(night: Night, stage: Stage, stages: list[Stage]) -> Started:
    shared = workers.others(stage.pool, night.root) and can_share(night.root)
    commit = hand_over(night, stage, stages, get_run_logger().info) if shared else None
    given = {"stage": stage.name, "folder": str(night.folder), "home": place(night.root), "commit": commit}
    run = cast(FlowRun, run_deployment(f"stage/{stage.name}", parameters=given, timeout=0))
    return Started(stage, run.id, time.monotonic(), shared)


def _is_over(started: Started, wrong: list[str]) -> bool:
    """Look whether a run has ended; add to `wrong` what it said if it has not completed."""
    with get_client(sync_client=True) as client:
        state = cast(Any, client.read_flow_run(started.run).state)
        if state.type == StateType.SCHEDULED and time.monotonic() - started.at > PATIENCE_SECONDS:
            if workers.anyone(started.stage.pool):
                return False
            state = Cancelled(
                message=f"No worker of pool {started.stage.pool} is there for stage {started.stage.name}."
            )
            client.set_flow_run_state(started.run, state)
    if state.is_final() and not state.is_completed():
        wrong.append(f"Stage {started.stage.name} {state.name}: {state.message}")
    return bool(state.is_final())
