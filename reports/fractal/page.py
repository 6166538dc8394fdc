"""reports/fractal/README.md from the numbers of the pictures that are kept beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
RECORDS, PAGE = HERE / "records.json", HERE / "README.md"

HEAD = """# The trainability fractal

A pixel is a network, and its place are two numbers that it was trained with. Blue ones converged, yellow to brown ones
did not; the darkest blue and the palest yellow are those that took longest to come to either. Where one turns into the
other is a fractal: Sohl-Dickstein (2024), *The boundary of neural network trainability is fractal*.

One hidden layer of 16 units, 16 inputs, one output, no biases; weights, inputs and targets are drawn from N(0, 1) once
and are the same in all pixels; gradient descent on the mean squared error in float64. Each picture is an ordinary
campaign: how the paper's factors become an initializer and learning rates is in [fractal.py](../fractal.py), and
`tests/test_fractal.py` holds pixels against a program of the paper's own equations. The color is the run column
`trainability`, whose sign says whether the losses of the last 20 steps are under the first one on average
([definitions](../../docs/definitions.md)); equally many pixels of a sign have each shade.
"""

DIMENSION = """
## Dimension

Boxes are counted that hold networks of both kinds, of sides from 1 to an eighth of the picture; the dimension is the
slope of their number over their side, both as logarithms. The interval is a bootstrap's over tiles: how much one part
of the boundary differs from another, not what other scales would give. Seen whole, over nine decades of both rates, the
boundary is close to a line; closer windows show what it is made of. The paper's number is the median of the slopes from
one side to the next over many zooms of a condition, 1.17 to 1.98 over its six; here that median is over the pictures
below of a condition, most of which are whole, so the two are of different things until there are as many zooms.
"""

DIFFERENCES = """
## Where this is not the paper

- Weights and data are another draw: details of the pictures differ, their kind does not.
- *Initial mean against rate*: here the mean of all initial weights. The published program adds the number to the
  weights of the input layer alone, and does so again at every step.
- A loss that is not finite counts as 10^6, as meant in the published program, whose masking by a product leaves NaN.
"""


def write_page() -> None:
    """Write README.md."""
    PAGE.write_text(page(json.loads(RECORDS.read_text(encoding="utf-8"))), encoding="utf-8")


def page(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of the pictures, by name."""
    parts = [HEAD, "## Pictures\n"]
    for name, r in records.items():
        times = "" if name == r["condition"] else f", {r['magnification']:,.3g} times closer"
        speed = f"{r['size'] ** 2 / r['seconds']:,.0f} networks/s" if r["seconds"] else ""
        text = f"{r['title']}{times}: {r['converged']:.0%} of the networks converge; {_dimension(r)}."
        parts.append(
            f"### {r['title']}{times}\n\n![{text}]({name}.png)\n\n"
            f"{r['size']} x {r['size']} networks, {r['steps']} steps, {r['seconds']:.0f} s "
            f"({speed}; {r['threads']} threads, {r['cpu']}, {r['date'][:10]}): "
            f"`{r['command']}`\n"
        )
    parts += [DIMENSION, _table(records), DIFFERENCES]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _dimension(r: Mapping[str, Any]) -> str:
    if r["dimension"] is None:
        return "no boundary to measure"
    value, low, high = r["dimension"]
    return f"box-counting dimension {value:.2f} ({low:.2f} to {high:.2f})"


def _table(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Dimension of each picture, and the median of all slopes of a condition."""
    lines = [
        "| picture | converged | dimension | 95% interval | median of slopes, condition |",
        "|---|---|---|---|---|",
    ]
    for name, r in records.items():
        own = [s for other in records.values() if other["condition"] == r["condition"] for s in other["slopes"] or ()]
        value, interval = "", ""
        if r["dimension"] is not None:
            value, interval = f"{r['dimension'][0]:.2f}", "{1:.2f} to {2:.2f}".format(*r["dimension"])
        over = f"{median(own):.2f}" if own and name == r["condition"] else ""
        lines.append(f"| {name} | {r['converged']:.0%} | {value} | {interval} | {over} |")
    return "\n".join(lines)
