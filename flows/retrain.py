"""The whole graph on this machine: each stage a task inside one flow."""

from pathlib import Path
from typing import Any

from prefect import flow

from flows.artifacts import read_metrics, readable
from flows.graph import Stage, read_stages
from flows.stage import as_task


@flow(name="retrain", flow_run_name="retrain")
def retrain(root: Path) -> None:
    """Bring every stage of `root`/dvc.yaml up to date, in DVC's order; the first that fails ends the run."""
    states: dict[str, Any] = {}
    for stage in read_stages(root):
        upstream = [states[name] for name in stage.upstream]
        states[stage.name] = as_task(stage)(stage, root, wait_for=upstream, return_state=True)
        states[stage.name].result()


def announce(stages: list[Stage], root: Path) -> str:
    """Say where the results are and what the headline numbers are, as `meta` of the stages names them."""
    lines = [(name, str(root / path)) for stage in stages for name, path in stage.announce.items()]
    for stage in stages:
        metrics = {name: value for path in stage.metrics for name, value in read_metrics(root, path).items()}
        lines += [(name, readable(_look_up(metrics, key))) for name, key in stage.headline.items()]
    width = max((len(name) for name, _ in lines), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _look_up(metrics: Any, dotted: str) -> float:
    for part in dotted.split("."):
        metrics = metrics[part]
    return float(metrics)
