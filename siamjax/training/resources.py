"""Things that are closed at the end of a block, whatever happens in it."""

import contextlib
from typing import Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class Resources(contextlib.ExitStack):
    """An ExitStack that shows the first error: what closing raises after it becomes a note."""

    def closing(self, resource: T) -> T:
        """Closes the resource at the end of the block, before those that were given earlier."""

        def close(_, first, __):
            try:
                resource.close()
            except Exception as error:
                if first is None:
                    raise
                first.add_note(f"{type(resource).__name__} could not be closed either: {error!r}")

        self.push(close)
        return resource
