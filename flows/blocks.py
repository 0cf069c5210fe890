"""The blocks of automations.yaml: what an automation calls or notifies, by its type and its name (`webhook/team`)."""

from typing import Annotated, Any
from uuid import UUID

from prefect.blocks.core import Block, UnknownBlockType
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from pydantic import AfterValidator, Field, ValidationError

from flows.server import UpError

BlockName = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]


def require_known(keys: set[str], kind: type[Any]) -> None:
    """Refuse keys that Prefect would pass over.

    Raises:
        ValueError: names the keys that `kind` does not have.
    """
    if unknown := sorted(keys - kind.model_fields.keys()):
        raise ValueError(f"there is no key {', '.join(map(repr, unknown))}")


def _make(blocks: dict[str, Any]) -> dict[str, Block]:
    import prefect.blocks.notifications
    import prefect.blocks.webhook  # noqa: F401  the import of either makes its types known

    made: dict[str, Block] = {}
    wrong: list[str] = []
    for name, fields in blocks.items():
        try:
            kind = Block.get_block_class_from_key(name.partition("/")[0])
            require_known(set(fields), kind)
            made[name] = kind(**fields)
        except ValidationError as error:
            wrong += [f"{name}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        except (UnknownBlockType, ValueError) as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise ValueError("; ".join(wrong))
    return made


Blocks = Annotated[dict[BlockName, dict[str, Any]], AfterValidator(_make)]


def on_server(name: str, blocks: dict[str, Any], client: SyncPrefectClient) -> UUID:
    """Return the server's id of a block that is among `blocks`, and is saved there now, or that the server has already.

    Raises:
        UpError: it is in neither place.
    """
    kind, _, own_name = name.partition("/")
    if name in blocks:
        return UUID(str(blocks[name].save(own_name, overwrite=True)))
    try:
        return client.read_block_document_by_name(own_name, kind).id
    except ObjectNotFound:
        raise UpError(
            f"An automation in automations.yaml names the block {name}, and there is none. "
            "Write it under `blocks` there, or make it on the dashboard's page of blocks."
        ) from None
