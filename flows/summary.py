"""What is said at the end: where the results are and the headline numbers, as `meta` of the stages names them."""

from pathlib import Path
from typing import Any

from flows.artifacts import read_metrics, readable
from flows.graph import Stage


def summary(stages: list[Stage], root: Path) -> str:
    """Write one line for each `meta.announce` and `meta.headline`."""
    lines = [(name, str(root / path)) for stage in stages for name, path in stage.announce.items()]
    for stage in stages:
        metrics = {name: value for path in stage.metrics for name, value in read_metrics(root, path).items()}
        lines += [(name, _look_up(metrics, key)) for name, key in stage.headline.items()]
    width = max((len(name) for name, _ in lines), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _look_up(metrics: Any, dotted: str) -> str:
    """Write a number for people, a text as it stands, and a dash where DVC read a null: no champion yet, for one."""
    for part in dotted.split("."):
        if part not in metrics:
            return "–"
        metrics = metrics[part]
    return metrics if isinstance(metrics, str) else readable(float(metrics))
