"""One thread for what takes long, and results that are handed over only when the window asks for them. No Qt here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from realtime_ser.errors import RealtimeSerError

__all__ = ["Failure", "Worker"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong and what can be done, in the user's words."""

    problem: str
    remedy: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The package's own errors speak for themselves; any other is a fault of the program, and is called that."""
        if isinstance(error, RealtimeSerError):
            return cls(error.problem, error.remedy)
        return cls(
            f"Something went wrong in the program: {type(error).__name__}: {error}",
            "This is a fault of the program. Please report it with this message.",
        )


class Worker:
    """Runs one piece of work after the other on a thread of its own.

    NB: `done` and `failed` are called by :meth:`deliver`, hence on the caller's thread, never on the worker's.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dashboard-worker")
        self._pending: list[tuple[Future[Any], Callable[[Any], None], Callable[[Failure], None]]] = []

    @property
    def busy(self) -> bool:
        """Whether results are still to be delivered."""
        return bool(self._pending)

    def ask(
        self, work: Callable[[], Result], done: Callable[[Result], None], failed: Callable[[Failure], None]
    ) -> Future[Result]:
        """Queue `work`; later, `done` gets its result, or `failed` the reason why there is none."""
        future = self._executor.submit(work)
        self._pending.append((future, done, failed))
        return future

    def deliver(self) -> None:
        """Hand over what is finished, in the order in which it was asked for."""
        while self._pending and self._pending[0][0].done():
            future, done, failed = self._pending.pop(0)
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                done(future.result())
            else:
                failed(Failure.of(error))

    def close(self, *, finish: bool = False) -> None:
        """Drop what has not begun, or `finish` it, too, and wait for what has; nothing is handed over any more."""
        self._executor.shutdown(wait=True, cancel_futures=not finish)
        self._pending.clear()
