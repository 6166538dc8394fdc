"""A recommendation on the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gradsim.advice import words
from gradsim.advice.result import Finding, Recommendation
from gradsim.advice.trial import LADDERS
from gradsim.analysis.words import count, join, number, percent, plural, span

WIDTH = 120
MOST_OTHERS = 5


def as_text(result: Recommendation, width: int = WIDTH) -> str:
    """The recommendation as plain text."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(rendered(result))
    return "\n".join(line.rstrip() for line in console.file.getvalue().rstrip().splitlines())


def show(result: Recommendation) -> None:
    """Print the recommendation: as wide as the terminal, plain text elsewhere."""
    if sys.stdout.isatty():
        Console(highlight=False).print(rendered(result))
    else:
        print(as_text(result))


def rendered(result: Recommendation) -> RenderableType:
    """The recommendation for a rich console."""
    parts: list[RenderableType] = [Text(_headline(result), "bold"), Text(_task(result)), Text(), _settings(result)]
    for title, rows in (
        ("Other settings that hold", _others(result)),
        ("Also fine, all else as above", [(f.what, _share(f), _where(f)) for f in result.works]),
        ("Avoid, all else as above" if result.converged else "What else was tried", _findings(result)),
    ):
        if rows:
            parts += [Text(), Text(title, "bold"), _table(rows)]
    return Group(*parts, Text(), Text(_how(result), "dim"))


def _headline(result: Recommendation) -> str:
    what = f"{result.activation}, {result.initializer} and {result.optimizer} at {result.learning_rate:g}"
    if result.reliable:
        return f"Start with {what}"
    if result.converged:
        return f"Nothing that was tried converges reliably; the best found is {what}"
    return f"Nothing that was tried converges within {count(result.question.steps)} steps; the closest is {what}"


def _task(result: Recommendation) -> str:
    question = result.question
    data = question.data
    classes = data.task == "classification"  # of which there are at least two
    outputs = f"{count(data.outputs)} classes" if classes else plural(data.outputs, "output")
    size = f"{plural(data.train_samples, 'training row')}, batches of {question.batch_size}"
    if question.note:
        return f"{question.network} on a synthetic task that stands in for your data: {question.note}; {size}"
    return f"{question.network} on {question.data_name}: {plural(data.features, 'feature')}, {outputs}, {size}"


def _settings(result: Recommendation) -> Table:
    verified, depth = result.verified, result.question.depth
    rows = [
        ("activation", result.activation),
        ("initializer", result.initializer + _meaning(result)),
        ("optimizer", result.optimizer + " 0.9" * (result.optimizer == "momentum")),
        ("learning rate", f"{result.learning_rate:g}{_range(result)}"),
    ]
    low, high = result.interval
    shown = f"{result.converged} of {result.seeds} fresh seeds ({percent(result.rate)}; 95% interval "
    shown += f"{span(low, high, percent)}) within {count(result.question.steps)} steps"
    rows.append(("converged", shown))
    if result.converged:
        rows.append(("steps", f"{count(verified.steps)} to the target loss of {number(verified.target)}, median"))
    if result.converged < result.seeds:
        rows.append(("the others", words.why(verified)))
    if verified.score == verified.score:
        named = "test accuracy" if result.question.data.task == "classification" else "test R2"
        rows.append((named, f"{number(verified.score)}, median"))
    rows.append(("theory", words.expectation(result.theory, depth)))
    return _table(rows, "dim")


def _meaning(result: Recommendation) -> str:
    """What an initializer that libraries do not have does."""
    name = result.initializer.partition("(")[0]
    found = {
        "data_dependent": "each unit's pre-activations shifted and scaled to mean 0 and variance 1 on the data",
        "lsuv": "orthogonal, then each layer scaled to variance 1 on the data",
        "critical": f"the edge of chaos: weights N(0, {number(result.theory.sigma_w)}^2/fan_in), biases "
        f"N(0, {number(result.theory.sigma_b)}^2)",
    }.get(name, "")
    return f": {found}" if found else ""


def _range(result: Recommendation) -> str:
    ends = result.learning_rates
    if ends is None:
        return "; no rate works reliably"
    lowest, highest = result.lowest_tried, result.highest_tried
    tried = _tried(result)
    if ends[0] == ends[1]:
        if lowest or highest:
            return f"; {tried}" + (
                "" if lowest and highest else "; its neighbor on the ladder already fails more often"
            )
        return "; its neighbors on the ladder already fail more often"
    return f"; all of {span(*ends, lambda x: f'{x:g}')} work" + (f", {tried}" if tried else "")


def _tried(result: Recommendation) -> str:
    """At which ends the range of rates stops only because nothing beyond was tried; rates that a screening left out
    were tried in short runs. Empty where it stops at neither."""
    rates, ladder = [m.setting.learning_rate for m in result.group.by_rate], LADDERS[result.optimizer]
    ends = {"lowest": rates[0] == ladder[0], "highest": rates[-1] == ladder[-1]}
    kept = {"lowest": result.lowest_tried, "highest": result.highest_tried}
    told = [name for name in ends if kept[name]]
    if not told:
        return ""
    return f"the {join(told)} tried" + ("" if all(ends[name] for name in told) else " at full length")


def _others(result: Recommendation) -> list[tuple[str, str, str]]:
    """Groups that were raced and have a window too."""
    several = len(result.question.activations) > 1
    rows = []
    for group in result.raced:
        window, middle = group.window, group.middle
        if group is result.group or not window:
            continue
        activation, initializer, optimizer = group.key
        ends = sorted({f"{m.setting.learning_rate:g}": None for m in (window[0], window[-1])}, key=float)
        name = f"{activation} with {initializer}" if several else initializer
        rows.append((name, f"{middle.converged} of {middle.n}", f"{optimizer} from {' to '.join(ends)}"))
    return [(name, share, how.replace("from", "at") if " to " not in how else how) for name, share, how in rows][
        :MOST_OTHERS
    ]


def _findings(result: Recommendation) -> list[tuple[str, str, str]]:
    depth = result.question.depth
    rows = []
    for f in result.avoid:
        theory = (
            f"; theory: {words.expectation(f.theory, depth)}" if f.theory is not None and not f.theory.silent else ""
        )
        rows.append((f.what, _share(f), f"{f.why}{theory}"))
    return rows


def _where(finding: Finding) -> str:
    """The learning rates at which an initializer holds, where these are not all that were compared."""
    if finding.converged == finding.n:
        return ""
    return f"only at {join(f'{rate:g}' for rate in finding.learning_rates)}"


def _share(finding: Finding) -> str:
    return f"{finding.converged} of {finding.n}"


def _how(result: Recommendation) -> str:
    left, of = result.candidates
    steps = f"{count(result.networks)} networks in {result.seconds:.0f} s; theory left {left} of {of} initializers"
    return f"{steps}. Converged: a training loss of a tenth of the best constant prediction's."


def _table(rows: Iterable[Sequence[str]], style: str = "") -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column()  # the indent
    rows = [list(row) for row in rows]
    for i in range(len(rows[0])):
        table.add_column(style=style if i == 0 else "", no_wrap=i < len(rows[0]) - 1, overflow="fold")
    for row in rows:
        table.add_row("", *map(Text, row))
    return table
