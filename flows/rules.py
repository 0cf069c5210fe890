"""What automations.yaml may hold: the user's automations in Prefect's own words, and the blocks that they name."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import yaml
from prefect.events.actions import ActionTypes
from prefect.events.schemas.automations import TriggerTypes
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from flows.blocks import BlockName, Blocks, require_known
from flows.mistakes import mistakes
from flows.server import UpError

FILE = "automations.yaml"


def _exact(values: Any, check: ModelWrapValidatorHandler[Any]) -> Any:
    checked = check(values)
    if isinstance(values, dict):
        require_known(set(values), type(checked))  # a trigger with a misspelt `expect` would fire at any event
    return checked


class Step(BaseModel):
    """One action as Prefect has it, but for the name of its block in place of an id that only the server knows."""

    block: BlockName | None
    action: Annotated[ActionTypes, Field(discriminator="type"), WrapValidator(_exact)]

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "block" not in values:
            return {"block": None, "action": values}
        action = {key: value for key, value in values.items() if key != "block"}
        return {"block": values["block"], "action": action | {"block_document_id": UUID(int=0)}}


class Rule(BaseModel):
    """One automation."""

    model_config = ConfigDict(extra="forbid")

    name: str
    description: str
    trigger: Annotated[TriggerTypes, WrapValidator(_exact)]
    actions: list[Step]


class Rules(BaseModel):
    """The whole of automations.yaml."""

    model_config = ConfigDict(extra="forbid")

    blocks: Blocks
    automations: list[Rule]


def read_rules(root: Path) -> Rules:
    """Read `root`/automations.yaml; without that file there are none.

    Raises:
        UpError: the file is no YAML in UTF-8, or keys are unknown, missing or out of bounds: all at once.
    """
    if not (root / FILE).exists():
        return Rules(blocks={}, automations=[])
    try:
        return Rules.model_validate(yaml.safe_load((root / FILE).read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise UpError(f"{FILE} is not in UTF-8: {error}. Save it in that encoding.") from None
    except yaml.YAMLError as error:
        raise UpError(f"{FILE} is not valid YAML: {error}. Correct that line.") from None
    except ValidationError as error:
        raise UpError(mistakes(error, FILE)) from None
