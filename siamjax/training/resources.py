"""Things that are closed at the end of a block, whatever happens in it."""

import contextlib


class Resources(contextlib.ExitStack):
    """An ExitStack that shows the first error: what closing raises after it becomes a note."""

    def closing(self, resource):
        """Closes the resource at the end of the block, before those that were given earlier.

        Returns:
            The resource.
        """

        def close(_, first, __):
            try:
                resource.close()
            except Exception as error:
                if first is None:
                    raise
                first.add_note(f"{type(resource).__name__} could not be closed either: {error!r}")

        self.push(close)
        return resource
