"""The runs of the server: which of them have a place to run in, and which wait."""

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable
from pathlib import Path

from siamjax.errors import UserError
from siamjax.integrations.serving.limits import NEW, Disk, Limits, Refusal
from siamjax.integrations.serving.memory import give_back
from siamjax.integrations.serving.orders import Order
from siamjax.integrations.serving.run import Run
from siamjax.integrations.serving.videos import Entry
from siamjax.tracking.follow import Targets

_KEPT = "what was tracked until then is kept"
_log = logging.getLogger(__name__)


class Runs:
    """The runs by key, `jobs` of them at a time, the others in the order in which they came.

    Args:
        targets: makes what follows targets, for each run anew.
        folder: for their results.
    """

    def __init__(
        self,
        targets: Callable[[], Targets],
        folder: Path,
        limits: Limits,
        disk: Disk,
        jobs: int,
    ):
        self._targets, self._folder, self._limits, self._disk = targets, folder, limits, disk
        self._runs: dict[str, Run] = {}
        self._tasks: dict[Run, asyncio.Task] = {}
        self._jobs = jobs
        self._places = asyncio.Semaphore(jobs)
        self._threads = concurrent.futures.ThreadPoolExecutor(jobs, "run")

    def get(self, key: str) -> Run:
        """The run of this key.

        Raises:
            Refusal: there is none.
        """
        if key not in self._runs:
            raise Refusal(f"no such run here; GET /runs lists them {NEW}", 404)
        return self._runs[key]

    def describe(self) -> list[dict]:
        """All runs, the newest first, for the page."""
        return [run.describe() for run in reversed(self._runs.values())]

    def ahead(self, run: Run) -> int:
        """Runs that have to end before one begins; 0 where a place is free, or it has begun."""
        waiting = [other for other in self._tasks if other.state == "waiting"]
        if run not in waiting:
            return 0
        running = len(self._tasks) - len(waiting)
        return max(running + waiting.index(run) + 1 - self._jobs, 0)

    def start(self, entry: Entry, order: Order) -> Run:
        """A new run, which waits for its place.

        Raises:
            Refusal: too many wait already, or too much is kept; the run that is taken up is not
                there, has not ended, or is over another video.
        """
        earlier = self.get(order.after) if order.after else None
        if earlier is not None and earlier.entry is not entry:
            raise Refusal("the run that is taken up is over another video", 400)
        if earlier is not None and not earlier.ended:
            raise Refusal("the run that is taken up has not ended; stop it first", 409)
        most = self._limits.waiting
        if sum(run.state == "waiting" for run in self._tasks) >= most:
            raise Refusal(f"{most} runs wait already; try again when some have ended", 503)
        self._disk.take(0)
        run = Run(entry, order, self._folder, earlier)
        self._runs[run.key] = run
        self._tasks[run] = asyncio.create_task(self._lead(run))
        return run

    def stop(self, run: Run, message: str = "") -> None:
        """Ends a run at its next frame, or before it begins; what it has is kept."""
        if run.ended or run.stopping:
            return
        run.stopping, run.message = True, message
        if run.state == "waiting":
            self._tasks[run].cancel()

    async def tidy(self) -> None:
        """Ends runs that nobody watches and that others wait for, or that wait themselves."""
        most = self._limits.unwatched
        while True:
            await asyncio.sleep(min(1.0, most / 4))
            left = [run for run in self._tasks if run.unwatched() > most]
            for run in left:
                if run.state == "waiting":
                    self.stop(run, f"no page watched it for {most:g} s while it waited")
            if any(run.state == "waiting" and not run.stopping for run in self._tasks):
                for run in left:
                    why = f"no page watched it for {most:g} s while others waited; {_KEPT}"
                    self.stop(run, why)

    async def close(self) -> None:
        """Stops all runs and waits until they have ended."""
        for run in list(self._tasks):
            self.stop(run, "the server has ended")
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._threads.shutdown()

    async def _lead(self, run: Run) -> None:
        loop = asyncio.get_running_loop()

        def changed():
            loop.call_soon_threadsafe(run.changed)

        state, message = "stopped", ""
        try:
            async with self._places:
                run.begin()
                targets, most = self._targets(), self._limits.frames
                try:
                    stopped = await loop.run_in_executor(
                        self._threads, run.work, targets, most, changed
                    )
                finally:
                    self._threads.submit(give_back)
                state = "stopped" if stopped else "done"
        except asyncio.CancelledError:
            pass  # it waited
        except UserError as error:
            state, message = "failed", f"{error}; {_KEPT}"
        except Exception:
            _log.exception("run over %s", run.entry.video.name)
            state, message = "failed", f"the server failed at this, its log says how; {_KEPT}"
        finally:
            run.end(state, message)
            self._disk.add(run.size)
            del self._tasks[run]
