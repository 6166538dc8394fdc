"""Progress: a bar on a terminal or in a notebook, elsewhere now and then a line on stderr."""

from __future__ import annotations

import html
import sys
import time
from collections import Counter

_LINE_EVERY = 20.0  # seconds between lines where there is no bar


class Progress:
    """Counts runs; shows runs a second, time left and outcomes so far. A context manager."""

    def __init__(self, total: int, done: int, show: bool):
        self.total, self.done, self._before = total, done, done
        self.outcomes: Counter[str] = Counter()
        self._started = time.perf_counter()
        self._display = _display_for() if show else None

    def __enter__(self) -> Progress:
        if self._display:
            self._display.open(self)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._display:
            self._display.close(self)

    def advance(self, runs: int, outcomes: dict[str, int]) -> None:
        """A shard of so many runs is done."""
        self.done += runs
        self.outcomes.update(outcomes)

    def tick(self) -> None:
        """Show where things stand."""
        if self._display:
            self._display.show(self)

    @property
    def rate(self) -> float:
        """Runs a second since the start."""
        return (self.done - self._before) / max(time.perf_counter() - self._started, 1e-9)

    @property
    def speed(self) -> str:
        """The rate in words; before the first shard is done, kernels may still be compiled."""
        if not self.fresh:
            return "starting"
        return f"{self.rate:,.0f} runs/s" if self.rate >= 10 else f"{self.rate:.2g} runs/s"

    @property
    def left(self) -> float:
        """Seconds to go, NaN before the first shard."""
        return (self.total - self.done) / self.rate if self.rate else float("nan")

    @property
    def fresh(self) -> bool:
        """Whether any run was done here."""
        return self.done > self._before

    @property
    def counts(self) -> str:
        """Outcomes so far, the most frequent first."""
        return ", ".join(f"{n:,} {name}" for name, n in self.outcomes.most_common())

    def line(self) -> str:
        """Where things stand, in a line."""
        left = f", {duration(self.left)} left" if self.done < self.total else ""
        elapsed = duration(time.perf_counter() - self._started)
        return f"{self.done:,}/{self.total:,} runs, {self.speed}, {elapsed}{left}; {self.counts}"


# --- where it is shown ----------------------------------------------------------------------------


class _Lines:
    """A line at the start, now and then, and at the end."""

    def open(self, progress: Progress) -> None:
        self._last = time.perf_counter()
        if progress.done < progress.total:
            resumed = f", {progress.done:,} already there" if progress.done else ""
            print(f"{progress.total:,} runs{resumed}", file=sys.stderr, flush=True)

    def show(self, progress: Progress) -> None:
        if time.perf_counter() - self._last >= _LINE_EVERY and progress.done < progress.total:
            self._last = time.perf_counter()
            print(progress.line(), file=sys.stderr, flush=True)

    def close(self, progress: Progress) -> None:
        if progress.fresh:
            print(progress.line(), file=sys.stderr, flush=True)


class _Terminal:
    """A bar."""

    def open(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        texts = ("{task.fields[rate]}", "{task.fields[left]}", "[dim]{task.fields[outcomes]}")
        columns = (BarColumn(), MofNCompleteColumn(), *map(TextColumn, texts))
        self._bar = Bar(*columns, console=Console(stderr=True))
        self._bar.start()
        started = {"rate": "", "left": "", "outcomes": ""}
        self._task = self._bar.add_task("", total=progress.total, completed=progress.done, **started)

    def show(self, progress: Progress) -> None:
        rate, left = progress.speed, f"{duration(progress.left)} left"
        self._bar.update(self._task, completed=progress.done, rate=rate, left=left, outcomes=progress.counts)

    def close(self, progress: Progress) -> None:
        self._bar.stop()


class _Notebook:
    """A bar below the cell."""

    def open(self, progress: Progress) -> None:
        from IPython.display import display

        self._handle = display(self._page(progress), display_id=True)

    def show(self, progress: Progress) -> None:
        self._handle.update(self._page(progress))

    close = show

    def _page(self, progress: Progress):
        from IPython.display import HTML

        bar = f'<progress max="{progress.total}" value="{progress.done}" style="width: 16em"></progress>'
        return HTML(f"{bar} {html.escape(progress.line().rstrip('; '))}")


def _display_for() -> _Lines | _Terminal | _Notebook:
    if _in_notebook():
        return _Notebook()
    return _Terminal() if sys.stderr.isatty() else _Lines()


def _in_notebook() -> bool:
    """Whether this is code of a cell: a kernel that can show HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def duration(seconds: float) -> str:
    """Seconds in words: 3 min 5 s."""
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
