"""Grade on a Dask cluster: the same jobs, on machines that share nothing with this one but a network.

A worker needs this package with its extras [course] and [cluster], a scheduler needs Dask alone. Whoever reaches the
scheduler can run programs on all of these machines: keep them in a network of their own, or have Dask use TLS.

Each job is sent to a worker that was looked at first, one job to a thread, and when that worker is lost to another.
Dask would choose workers by itself, also such as came later and cannot grade; and when a job makes workers die, Dask
gives up on all jobs that were on them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import operator
import pickle
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from mechpuzzles.grading import driver, sandbox, warm, worker

try:
    import dask
    import distributed
    from distributed.versions import get_versions
except ImportError:
    distributed = None  # type: ignore[assignment]

CONNECT_SECONDS = 10.0
WAIT_SECONDS = 10.0  # for the first worker, when grading begins
ADMIT_SECONDS = sandbox.TRIAL_SECONDS + warm.START_SECONDS
ALONE_SECONDS = 60.0  # for another worker when all are lost (a nanny starts one in a few), or for the scheduler
LOOK_SECONDS = 1.0  # between two looks at who is there
LIVES = 3  # workers that a job may take with it; the last one has nothing else to do meanwhile
PACKAGE = "mechpuzzles"

log = logging.getLogger(__name__)


class Lost(RuntimeError):
    """A worker gave no answer; the message says why."""


@dataclass(eq=False)
class Worker:
    """A worker of the cluster. No thread of it is free before it was looked at; ``fault`` says why none will be."""

    address: str
    threads: int
    free: int = 0
    fault: str | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)


def connect(address: str, sandboxed: bool) -> DaskPool:
    """The workers of the scheduler at ``tcp://host:port``; raises driver.Unusable if nothing can be graded on them."""
    if distributed is None:
        raise driver.Unusable("Grading on a cluster needs the extra [cluster]: pip install 'mechpuzzles[cluster]'.")
    for name in ("distributed", "distributed.client"):  # what matters of what they say is said here, in a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"})  # a submission may have 70 MB
    pool = DaskPool(address, sandboxed)
    try:
        pool.do(pool.start())
    except BaseException:
        pool.close()
        raise
    return pool


def _left_over(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Connections that Dask was still trying to make when it was closed fail with nobody waiting for them."""
    log.debug("%s", context["message"], exc_info=context.get("exception"))


class DaskPool:
    """Graders on the workers of a Dask scheduler, see `driver.Pool`. Its coroutines run in a thread of its own."""

    def __init__(self, address: str, sandboxed: bool):
        self.address, self.sandboxed = address, sandboxed
        self.size = 1  # threads of the workers that can grade, as far as is known
        self.workers: dict[str, Worker] = {}
        self.begun, self.over = False, ""  # the latter says why nothing runs any more
        self.changed = asyncio.Condition()
        self.background: set[asyncio.Task] = set()
        self.client: Any = None
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(_left_over)
        self.thread = threading.Thread(target=self.loop.run_forever, name="cluster", daemon=True)
        self.thread.start()

    def submit(self, job: dict[str, Any], puzzle: dict[str, bytes]) -> concurrent.futures.Future:
        """Grade a job on some worker; the future of `mechpuzzles.grading.worker.grade_job`."""
        task = functools.partial(worker.grade_job, job, puzzle)
        return asyncio.run_coroutine_threadsafe(self._grade(task), self.loop)

    def close(self) -> None:
        """Give up what has not ended, and leave the cluster."""
        self.do(self._leave())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def do(self, task: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end in the pool's thread."""
        asyncio.run_coroutine_threadsafe(task, self.loop).result()

    async def start(self) -> None:
        """Connect, and look at the workers; raises driver.Unusable."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS + 1):  # what is no scheduler may accept, and say nothing
                self.client = distributed.Client(
                    self.address, asynchronous=True, timeout=CONNECT_SECONDS, set_as_default=False
                )
                await self.client
        except (OSError, ValueError) as error:
            why = str(error) or "it says nothing"
            raise driver.Unusable(f"No Dask scheduler answers at {self.address}: {why}.") from None
        until = self.loop.time() + WAIT_SECONDS
        await self._look()
        while not self.workers and self.loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS / 4)
            await self._look()
        if self.workers:
            admitted = set(self.background)
            self._begin(self._watch())
            await asyncio.wait(admitted, timeout=ADMIT_SECONDS)
        if faults := [each.fault for each in self.workers.values() if each.fault]:
            raise driver.Unusable(" ".join(faults))
        if not any(each.free for each in self.workers.values()):
            raise driver.Unusable(
                self.over
                or f"The scheduler at {self.address} has no workers that answer. Start one: dask worker {self.address}"
            )
        self.begun = True

    # Jobs ---------------------------------------------------------------------------------------------------------

    async def _grade(self, task: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        tried: list[str] = []
        why = ""
        while len(tried) < LIVES:
            taken = await self._take(tried, alone=len(tried) == LIVES - 1)
            if taken is None:
                return {"failed": self.over}
            place, threads = taken
            try:
                return await self._on(place, task)
            except Lost as error:
                why = str(error)
            finally:
                place.free += threads
                await self._notify()
            tried.append(place.address)
        return {"failed": f"Grading this was begun {LIVES} times and never ended, at last since {why}"}

    async def _take(self, tried: list[str], alone: bool) -> tuple[Worker, int] | None:
        """A worker, one not tried yet if there is one, and how many of its threads; None if nothing runs any more."""

        def choice() -> Worker | None:
            able = [each for each in self.workers.values() if each.fault is None]
            able = [each for each in able if each.address not in tried] or able
            free = [each for each in able if each.free >= (each.threads if alone else 1)]
            return max(free, key=lambda each: each.free, default=None)

        async with self.changed:
            await self.changed.wait_for(lambda: self.over or choice())
            place = choice()
            if self.over or place is None:
                return None
            threads = place.threads if alone else 1
            place.free -= threads
            return place, threads

    async def _on(self, place: Worker, task: Callable[[], Any]) -> Any:
        """What a task comes to on a worker; raises Lost.

        It travels as bytes, so that the scheduler needs not know its functions, nor Dask look into its data.
        """
        where = {"workers": [place.address], "pure": False}
        loaded = self.client.submit(pickle.loads, pickle.dumps(task), **where)
        future = self.client.submit(operator.call, loaded, **where)
        result = asyncio.ensure_future(future.result())
        gone = asyncio.ensure_future(place.gone.wait())
        try:
            await asyncio.wait([result, gone], return_when=asyncio.FIRST_COMPLETED)
            if result.done() and not result.cancelled():
                return result.result()
            # A future is cancelled when the scheduler is lost or restarted: let `_watch` find out which.
            await asyncio.wait([gone], timeout=2 * CONNECT_SECONDS)
            raise Lost(f"the worker {place.address} ended.")
        except Lost:
            raise
        except Exception as error:
            raise Lost(f"the worker {place.address} had an error ({type(error).__name__}: {error}).") from error
        finally:
            for each in (result, gone):
                each.cancel()
            for each in (future, loaded):
                each.release()

    # Workers ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Follow the workers that come and go, until there is nobody to follow."""
        seen = self.loop.time()
        while not self.over:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with asyncio.timeout(ALONE_SECONDS):
                    await self._look()
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                return await self._end(f"The scheduler at {self.address} was lost ({why}). Grade again.")
            if any(each.fault is None for each in self.workers.values()):
                seen = self.loop.time()
            elif self.loop.time() - seen > ALONE_SECONDS:
                return await self._end(
                    f"The scheduler at {self.address} has had no worker for {ALONE_SECONDS:g} seconds. Grade again."
                )

    async def _look(self) -> None:
        if self.client.status != "running":  # Dask would go on trying, with all its tasks forgotten
            raise ConnectionError("the connection broke")
        there: dict[str, int] = await self.client.nthreads()
        for address in self.workers.keys() - there.keys():
            self.workers.pop(address).gone.set()
        for address in there.keys() - self.workers.keys():
            self.workers[address] = Worker(address, there[address])
            self._begin(self._admit(self.workers[address]))
        self._count()

    async def _admit(self, place: Worker) -> None:
        """Let a worker grade if it can."""
        try:
            fault = await self._fault(place)
        except Lost as error:
            fault = f"cannot grade: {error}"
        if fault:
            place.fault = f"The worker {place.address} {fault}"
            if self.begun:
                log.warning("%s It is not used.", place.fault)
        else:
            place.free = place.threads
        self._count()
        await self._notify()

    async def _fault(self, place: Worker) -> str | None:
        """Why a worker cannot grade, after its name; raises Lost."""
        asked = functools.partial(get_versions, [PACKAGE])
        ours, theirs = (found["packages"] for found in (asked(), await self._on(place, asked)))
        here, there = (".".join(found["python"].split(".")[:2]) for found in (ours, theirs))
        if there != here:
            return f"runs Python {there}, and this is Python {here}."
        if theirs[PACKAGE] != ours[PACKAGE]:
            return f"has {PACKAGE} {theirs[PACKAGE] or 'not at all'}, and this is {PACKAGE} {ours[PACKAGE]}."
        if self.sandboxed and (problem := await self._on(place, sandbox.problem)):
            return f"has no sandbox: {problem} (--no-sandbox grades without; read what it says.)"
        await self._on(place, warm.ensure_server)  # all of them at once, and not each when its first job comes
        return None

    def _count(self) -> None:
        self.size = max(1, sum(each.threads for each in self.workers.values() if each.fault is None))

    def _begin(self, task: Coroutine[Any, Any, None]) -> None:
        begun = self.loop.create_task(task)
        self.background.add(begun)
        begun.add_done_callback(self.background.discard)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _end(self, why: str) -> None:
        """Let nothing run any more."""
        self.over = self.over or why
        for each in self.workers.values():
            each.gone.set()
        self.workers.clear()
        await self._notify()

    async def _leave(self) -> None:
        await self._end("Grading was stopped.")
        if self.client is not None:
            await self.client.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)
