"""Where batches are computed: in this process or by actors of Ray. What comes out, and in which order, is the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from handful.parameters.compute import LocalCompute, RayCompute

Work = Callable[[Iterable[Any]], Iterable[Any]]


class Compute(Protocol):
    """Somewhere to compute. `width` says how many times as many batches as one process takes keep it busy."""

    width: int

    @property
    def device(self) -> str:
        """`cpu` or `cuda`: whose arithmetic it is."""

    def spread(self, work: Work, batches: Sequence[Any]) -> Iterator[Any]:
        """Give what `work` makes of each batch, in their order. A batch must not depend on those before it."""


class Here:
    """This process, one batch after the other."""

    width = 1

    @property
    def device(self) -> str:
        """That of training: the accelerator if there is one."""
        from handful import batches  # torch takes seconds to import, and not every stage needs it

        return batches.device().type

    def spread(self, work: Work, batches: Sequence[Any]) -> Iterator[Any]:
        """As Compute says."""
        yield from work(batches)


HERE = Here()
# Where a stage computes is no input of what it computes, so it is no argument of every function on the way either.
_current: ContextVar[Compute] = ContextVar("compute", default=HERE)


def current() -> Compute:
    """Where the parameters of the stage want its batches computed; outside `running`, here."""
    return _current.get()


@contextmanager
def running(parameters: LocalCompute | RayCompute) -> Iterator[None]:
    """Let batches be computed where `parameters` say, until the end of the block. Ray is joined when first needed."""
    with _place(parameters) as place:
        before = _current.set(place)
        try:
            yield
        finally:
            _current.reset(before)


def _place(parameters: LocalCompute | RayCompute) -> AbstractContextManager[Compute]:
    if isinstance(parameters, LocalCompute):
        return nullcontext(HERE)
    from handful.cluster import Cluster

    return closing(Cluster(parameters))
