"""Progress on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter

_LINE_EVERY = 20.0  # seconds between lines where there is no terminal


class Progress:
    """Counts runs; shows runs a second, time left and outcomes so far. A context manager."""

    def __init__(self, total: int, done: int, show: bool):
        self.total, self.done, self._before = total, done, done
        self.outcomes: Counter[str] = Counter()
        self._show, self._bar, self._task = show, None, None
        self._started = self._last = time.perf_counter()

    def __enter__(self) -> Progress:
        if self._show and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, completed=self.done, rate="", left="", outcomes="")
        elif self._show and self.done < self.total:
            resumed = f", {self.done:,} already there" if self.done else ""
            print(f"{self.total:,} runs{resumed}", file=sys.stderr, flush=True)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._show and self.done > self._before:
            print(self._line(), file=sys.stderr, flush=True)

    def advance(self, runs: int, outcomes: dict[str, int]) -> None:
        """A shard of so many runs is done."""
        self.done += runs
        self.outcomes.update(outcomes)

    def tick(self) -> None:
        """Show where things stand."""
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=self.done,
                rate=f"{self.rate:,.0f} runs/s",
                left=f"{duration(self.left)} left",
                outcomes=self._counts(),
            )
        elif self._show and now - self._last >= _LINE_EVERY and self.done < self.total:
            self._last = now
            print(self._line(), file=sys.stderr, flush=True)

    @property
    def rate(self) -> float:
        """Runs a second since the start."""
        return (self.done - self._before) / max(time.perf_counter() - self._started, 1e-9)

    @property
    def left(self) -> float:
        """Seconds to go, NaN before the first shard."""
        return (self.total - self.done) / self.rate if self.rate else float("nan")

    def _counts(self) -> str:
        return ", ".join(f"{n:,} {name}" for name, n in self.outcomes.most_common())

    def _line(self) -> str:
        left = f", {duration(self.left)} left" if self.done < self.total else ""
        elapsed = duration(time.perf_counter() - self._started)
        return f"{self.done:,}/{self.total:,} runs, {self.rate:,.0f} runs/s, {elapsed}{left}; {self._counts()}"


def _bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("[dim]{task.fields[outcomes]}"),
        console=Console(stderr=True),
    )


def duration(seconds: float) -> str:
    """Seconds in words: 3 min 5 s."""
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
