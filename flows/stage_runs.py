"""The stages of a night, each a run of its own on its work pool, as soon as those that it waits for are done."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Cancelled

from flows import workers
from flows.children import cancelled_together
from flows.deployments import deploy_stages
from flows.graph import Stage
from flows.handover import bring_home, can_share, hand_over
from flows.night import Night, NightError
from flows.place import place

PATIENCE = timedelta(minutes=5)  # with a worker that is silent: it may come back, or another one take its place


@dataclass(frozen=True)
class Started:
    """A stage's run, whether another host may have it, and whether one before it crashed."""

    stage: Stage
    run: UUID
    handed: bool
    again: bool


def run_stages(night: Night, stages: list[Stage]) -> None:
    """Run every stage for the night's worktree, here or on other hosts.

    Raises:
        NightError: a stage did not complete; the text is what its run said. Those beside it have come to their end.
    """
    deploy_stages(stages, night.root)  # dvc.yaml may have got another stage since the last night
    waiting, done, under_way, wrong = stages, set[str](), list[Started](), dict[str, str]()
    with cancelled_together():
        while (waiting and not wrong) or under_way:
            ready = [one for one in waiting if done.issuperset(one.upstream) and not wrong]
            waiting = [one for one in waiting if one not in ready]
            under_way += [_start(night, one, stages, again=False) for one in ready]
            time.sleep(0.5)
            for one, state in [(one, state) for one in under_way if (state := _state(one)).is_final()]:
                under_way.remove(one)
                if state.is_crashed() and not one.again and not wrong:  # which says nothing of the stage itself
                    get_run_logger().warning("%s: %s Once more.", one.stage.name, state.message)
                    under_way.append(_start(night, one.stage, stages, again=True))
                    continue
                wrong |= {} if state.is_completed() else {one.stage.name: f"{state.name}: {state.message}"}
                if one.handed and not wrong:
                    bring_home(night, one.stage, get_run_logger().info)
                done.add(one.stage.name)
    if wrong:
        raise NightError("\n".join(f"Stage {name} {words}" for name, words in wrong.items()), next(iter(wrong)))


def _start(night: Night, stage: Stage, stages: list[Stage], again: bool) -> Started:
    shared = workers.others(stage.pool, night.root, datetime.now(UTC) - PATIENCE) and can_share(night.root)
    commit = hand_over(night, stage, stages, get_run_logger().info) if shared else None
    given = {"stage": stage.name, "folder": str(night.folder), "home": place(night.root), "commit": commit}
    run = cast(FlowRun, run_deployment(f"stage/{stage.name}", parameters=given, timeout=0))
    return Started(stage, run.id, shared, again)


def _state(started: Started) -> State[Any]:
    """The run's state; one that waits for a worker where there is none is cancelled, or all later nights would wait."""
    with get_client(sync_client=True) as client:
        state = cast(State[Any], client.read_flow_run(started.run).state)
        if state.is_scheduled() and not workers.seen(started.stage.pool, datetime.now(UTC) - PATIENCE):
            silent = f"The work pool {started.stage.pool} has had no worker for {PATIENCE.seconds // 60} minutes."
            state = Cancelled(message=f"{silent} Start one (make up), and then the night again.")
            client.set_flow_run_state(started.run, state, force=True)
        return state
