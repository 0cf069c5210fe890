"""The section of params.yaml about where the batches of a stage are computed."""

from typing import Annotated, Literal

from pydantic import Field

from handful.schema import Count, Section


class LocalCompute(Section):
    """The process of the stage itself, on its accelerator if there is one."""

    kind: Literal["local"]


class RayCompute(Section):
    """Actors of a Ray cluster: `local` is one of this machine's own, `auto` the one that this machine is part of.

    Several actors share a GPU where `gpus_per_actor` is a fraction; with 0 they compute on CPUs.
    """

    kind: Literal["ray"]
    address: Annotated[str, Field(pattern=r"^(local|auto|[^\s:/]+:[0-9]{1,5})$")]
    actors: Annotated[int, Field(ge=1, le=1024)]
    cpus_per_actor: Count
    gpus_per_actor: Annotated[float, Field(ge=0.0, le=1.0)]


Compute = Annotated[LocalCompute | RayCompute, Field(discriminator="kind")]
