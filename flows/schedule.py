"""The deployments of prefect.yaml on the server, which somebody may have paused there, or a schedule of theirs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import DeploymentSchedule

from flows.server import UpError


def deploy(root: Path) -> None:
    """Give the server what prefect.yaml says now; what was paused in the dashboard stays so.

    Raises:
        UpError: Prefect refuses the file.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    with _pauses_kept():
        done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UpError(f"prefect.yaml could not be deployed:\n{done.stdout}{done.stderr}")


@contextmanager
def _pauses_kept() -> Iterator[None]:
    """Pause again what was paused before: Prefect deploys each anew, and makes its schedules anew, as if running."""
    with get_client(sync_client=True) as client:
        before = client.read_deployments()
    yield
    paused = {deployment.id for deployment in before if deployment.paused}
    off = {_known(deployment.id, one) for deployment in before for one in deployment.schedules if not one.active}
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            if deployment.id in paused and not deployment.paused:
                client.pause_deployment(deployment.id)
            for one in deployment.schedules:
                if one.active and _known(deployment.id, one) in off:
                    client.update_deployment_schedule(deployment.id, one.id, active=False)


def _known(deployment: UUID, one: DeploymentSchedule) -> tuple[UUID, str]:
    """By what a schedule is known again: its id is new, and so is the moment from which an interval counts."""
    return deployment, one.schedule.model_dump_json(exclude={"anchor_date"})
