"""Single values in params.yaml, found by their place (`candidates.0.epochs`) and exchanged; all else stays as it is."""

import math
from collections.abc import Mapping
from typing import Any

import yaml

from flows.space import SweepError

PARAMS = "params.yaml"  # by DVC's convention


def look_up(text: str, place: str) -> Any:
    """Return the value that stands at a place."""
    node = _node(text, place)
    return yaml.safe_load(text[node.start_mark.index : node.end_mark.index])


def put(text: str, values: Mapping[str, Any]) -> str:
    """Return the text with other values at these places: comments, order and layout are kept to the letter."""
    for place, value in values.items():
        node = _node(text, place)
        # Written as in a list, a text is one line, and quoted where a list or mapping around it asks for that.
        written = yaml.safe_dump([value], default_flow_style=True, width=math.inf).strip()[1:-1]
        text = text[: node.start_mark.index] + written + text[node.end_mark.index :]
    return text


def _node(text: str, place: str) -> yaml.ScalarNode:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for number, part in enumerate(place.split(".")):
        children = _children(node)
        if part not in children:
            where = ".".join(place.split(".")[:number]) or "the file"
            raise SweepError(f"{PARAMS} has no {place}: {where} has {', '.join(children) or 'nothing below it'}.")
        node = children[part]
    if not isinstance(node, yaml.ScalarNode):
        raise SweepError(f"{place} in {PARAMS} is not one value but several. Name one of them in sweep.yaml.")
    return node


def _children(node: yaml.Node) -> dict[str, yaml.Node]:
    match node:
        case yaml.MappingNode():
            return {key.value: value for key, value in node.value}
        case yaml.SequenceNode():
            return {str(number): value for number, value in enumerate(node.value)}
    return {}
