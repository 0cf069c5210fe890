"""What the server does by itself: it ends the runs whose process died, and follows the user's automations."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.blocks import on_server
from flows.outcome import KINDS, SKIPPED
from flows.rules import Rule, Rules

TAG = "handful"  # ours to change and to delete: an automation without it is the user's own
HEARTBEAT, PENDING = "prefect.flow-run.heartbeat", "prefect.flow-run.Pending"
RUNNING = "prefect.flow-run.Running"
ENDINGS = ("Completed", "Cached", *(kind.capitalize() for kind in (*KINDS, SKIPPED)), "Failed", "Cancelled", "Crashed")
ENDS = {f"prefect.flow-run.{name}" for name in ENDINGS}
SILENT = "Its process has shown no sign of life: it was killed, or its machine went down."
STUCK = "It was given to a worker and did not start. It would have kept its place in the pool for ever."
SILENT_SECONDS = 75  # two signs of life missed, and on a busy machine some patience; marked within 90
STUCK_SECONDS = 300


def register(rules: Rules) -> None:
    """Give the server our automations and the user's; take away those that automations.yaml no longer has."""
    with get_client(sync_client=True) as client:
        wanted = {one.name: one for one in (*_ours(), *(_users(rule, rules, client) for rule in rules.automations))}
        known = {one.name: one for one in client.read_automations() if TAG in one.tags}
        for name, automation in wanted.items():
            if name not in known:
                client.create_automation(automation)
            elif _content(automation) != _content(known[name]):
                # Whoever has switched it off in the dashboard has done so on purpose.
                kept = automation.model_copy(update={"enabled": known[name].enabled})
                client.update_automation(known[name].id, kept)
        for name in known.keys() - wanted.keys():
            client.delete_automation(known[name].id)


def _content(automation: AutomationCore) -> dict[str, Any]:
    return automation.model_dump(include={"description", "trigger", "actions"})


def _ours() -> Iterator[AutomationCore]:
    yield _crash("handful: runs whose process died", SILENT, SILENT_SECONDS, {HEARTBEAT}, {HEARTBEAT, *ENDS})
    yield _crash("handful: runs that do not start", STUCK, STUCK_SECONDS, {PENDING}, {RUNNING, HEARTBEAT, *ENDS})


def _crash(name: str, message: str, seconds: int, after: set[str], expect: set[str]) -> AutomationCore:
    trigger = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        after=after,
        expect=expect,
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )
    action = ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)
    return AutomationCore(name=name, description=message, tags=[TAG], trigger=trigger, actions=[action])


def _users(rule: Rule, rules: Rules, client: SyncPrefectClient) -> AutomationCore:
    actions: list[ActionTypes] = []
    for step in rule.actions:
        known = {} if step.block is None else {"block_document_id": on_server(step.block, rules.blocks, client)}
        actions.append(step.action.model_copy(update=known))
    written = rule.model_dump(include={"name", "description"})
    return AutomationCore(**written, tags=[TAG], trigger=rule.trigger, actions=actions)
