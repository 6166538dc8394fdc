"""The atlas of activations: one self-contained page with a card for every function of the table.

    python reports/activations/build.py [-o DIRECTORY]

Pictures, formulas and properties come from the package itself. Accuracy and speed come from what
`benchmarks/accuracy.py --json` and `benchmarks/activation_speed.py --json` wrote into `measured/` beside this file;
what is not there the page calls not measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import math
import re
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup, escape

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))

# Below the path: run as a script, Python looks only beside this file.
from mathml import mathml  # noqa: E402
from pictures import Panel, ends, picture  # noqa: E402

from gradsim.activations import ACTIVATIONS, Activation  # noqa: E402
from gradsim.listing import activation_record  # noqa: E402
from gradsim.plots.activations import Curve, curve, steps, wave  # noqa: E402
from gradsim.versions import package_version  # noqa: E402

LOW, HIGH = -5.0, 5.0
CLOSEST = 40  # turns of a curve in a picture
NOT_MEASURED = "not measured"


def main(arguments: Sequence[str] | None = None) -> Path:
    """Write the page; its path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=HERE, metavar="DIRECTORY", help="where index.html goes")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "index.html"
    path.write_text(page(own_activations(), Measured.read(HERE / "measured")), encoding="utf-8")
    print(path)
    return path


def own_activations() -> list[Activation]:
    """The package's own functions, in the table's order."""
    return [act for act in ACTIVATIONS.values() if act.function.__module__.startswith("gradsim.")]


# --- what was measured ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Measured:
    """Rows of benchmarks/accuracy.py by activation, of benchmarks/activation_speed.py likewise, and on what machine."""

    accuracy: dict[str, list[dict]] = dataclasses.field(default_factory=dict)
    speed: dict[str, list[dict]] = dataclasses.field(default_factory=dict)
    machine: str = ""

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """From accuracy.json and speed.json in a folder; nothing where they are not there."""
        accuracy, speed = (_json(folder / f"{name}.json") for name in ("accuracy", "speed"))
        if speed is None:
            return cls(_by_name(accuracy or []))
        versions = ", ".join(f"{name} {version}" for name, version in speed["versions"].items())
        machine = f"{speed['machine']['cpu']}, {versions}; {speed['date'][:10]}"
        return cls(_by_name(accuracy or []), _by_name(speed["rows"]), machine)


def _json(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _by_name(rows: list[dict]) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row["activation"], []).append(row)
    return found


# --- a card ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Card:
    """All that the page says of an activation."""

    act: Activation
    accuracy: list[dict]
    speed: list[dict]

    @cached_property
    def record(self) -> dict:
        return activation_record(self.act)

    @cached_property
    def curve(self) -> Curve:
        """Over the common range; a little more where a kink is just outside, a tenth where waves would be too close."""
        farthest = max((abs(kink) for kink in self.act.kinks), default=0)
        wide = 1.3 if HIGH < 1.1 * farthest < 2 * HIGH else 1  # so that relu6 shows where it is capped
        one = curve(self.act, wide * LOW, wide * HIGH)
        turns = np.count_nonzero(np.diff(np.sign(one.slope[np.isfinite(one.slope)])))
        return one if turns <= CLOSEST else curve(self.act, LOW / 10, HIGH / 10)

    @property
    def formula(self) -> Markup:
        """As MathML."""
        return Markup(mathml(self.act.formula))

    @property
    def description(self) -> Markup:
        """What the function's own documentation opens with."""
        return _prose(self.act.__doc__)

    @property
    def picture(self) -> Markup:
        """Value and slope side by side."""
        one, panels = self.curve, []
        for k, (line, title) in enumerate(((one.value, "value"), (one.slope, "slope"))):
            panel = Panel(
                (one.z[0], one.z[-1]), ends(np.concatenate([line, one.kinks[:, 1 + k]])), title, at=(178 * k, 0)
            )
            for low, high in one.saturated:
                panel.shade(low, high)
            panel.line(one.z, line, "vs"[k])
            for row in one.kinks:
                panel.mark(row[0], row[1 + k], "rd"[k])
            panels.append(panel)
        return Markup(picture(panels, self.alt))

    @property
    def alt(self) -> str:
        """The picture in words."""
        one = self.curve
        spans = [f"{np.nanmin(x):.3g} to {np.nanmax(x):.3g}" for x in (one.value, one.slope)]
        parts = [f"{self.act.name} for z from {one.z[0]:g} to {one.z[-1]:g}: value {spans[0]}, slope {spans[1]}"]
        if len(one.kinks):
            parts.append(f"kinks at {_listed(one.kinks[:, 0])}")
        if len(one.saturated):
            parts.append("saturated " + " and ".join(f"from {a:.3g} to {b:.3g}" for a, b in one.saturated))
        return "; ".join(parts)

    @property
    def facts(self) -> list[tuple[str, list[str]]]:
        """(name, lines) in the order in which they are read."""
        record = self.record
        found = [("range", [" to ".join(_written(x) for x in record["range"])])]
        if record["parameters"]:
            found.insert(0, ("parameters", [_parameter(p) for p in record["parameters"]]))
        found += [
            ("steepest", [self._steepest()]),
            ("kinks", [_listed(self.act.kinks) or "none"]),
            ("smoothness", [_smoothness(self.act.smoothness)]),
            ("saturates", [_SATURATES[record["saturates"]]]),
            ("form", [self._shape()]),
            ("largest error", self._accuracy()),
            ("time", self._speed()),
            ("source", [record["reference"]]),
        ]
        return found

    def _steepest(self) -> str:
        slope, at = self.act.max_slope, self.act.steepest_at
        if math.isinf(slope) or self.act.kind == "layerwise":
            return "unbounded" if math.isinf(slope) else _written(slope)
        where = f"approached towards {_written(at)}" if math.isinf(at) else f"at z = {_written(at)}"
        return f"{_written(slope)}, {where}" if slope else "0 everywhere"

    def _shape(self) -> str:
        if self.act.kind == "layerwise":
            takes, gives = self.act.preactivations, self.act.outputs
            return f"a unit takes {takes} and gives {gives}" if (takes, gives) != (1, 1) else "of a whole layer"
        monotonic = "monotonic" if self.act.monotonic else "not monotonic"
        return f"{monotonic}, {'zero-centered' if self.act.zero_centered else 'not zero-centered'}"

    def _accuracy(self) -> list[str]:
        lines = []
        for dtype in ("float32", "float64"):
            rows = [row for row in self.accuracy if row["dtype"] == dtype]
            errors = ", ".join(f"{row['result']} {row['error']:.2f}" for row in rows)
            if rows:
                lines.append(f"{dtype}: {errors} ulp (bar {rows[0]['bar']:g})")
        return lines or [NOT_MEASURED]

    def _speed(self) -> list[str]:
        lines = []
        for row in self.speed:
            torch = row["ns"].get("torch")
            theirs = "" if torch is None else f"; PyTorch {torch:.3f} for the value alone"
            lines.append(f"{row['ns']['block']:.3f} ns a number{theirs}")
        return lines or [NOT_MEASURED]


_SATURATES = {"none": "nowhere", "low": "for low z", "high": "for high z", "both": "for low and high z"}
_ROLES = {
    "fixed": "",
    "learned": ", learned",
    "random": ", drawn from U(0, 1) in training",
    "shape": ", a whole number",
}


def _parameter(p: dict) -> str:
    low, high = float(p["low"]), float(p["high"])
    known = p["role"] != "random" and math.isfinite(low) and math.isfinite(high)
    bounds = f", {_written(low)} to {_written(high)}" if known else ""
    return f"{p['name']} = {_written(p['default'])}{_ROLES[p['role']]}{bounds}"


def _smoothness(k: float) -> str:
    if math.isinf(k):
        return "smooth"
    return {-1: "jumps", 0: "continuous", 1: "slope continuous"}.get(int(k), f"{int(k)} continuous derivatives")


def _written(x: float | str) -> str:
    """A number in five digits, with a true minus and ∞."""
    x = float(x)
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    text = f"{x:.5g}"
    mantissa, _, power = text.partition("e")
    power = f"e{int(power)}" if power else ""
    return (mantissa + power).replace("-", "−")


def _prose(text: str | None) -> Markup:
    """The first paragraph of a docstring as HTML: names between backticks as code."""
    opening = escape((text or "").strip().partition("\n\n")[0])
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", " ".join(opening.split())))


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(_written(x) for x in numbers)


# --- the introduction -----------------------------------------------------------------------------


def unit_step_pictures() -> list[Markup]:
    """A sigmoid unit's response for several weights, and for several biases at one weight."""
    act = ACTIVATIONS["sigmoid"]
    sharper = Panel((-1, 1), (0, 1), "the weight W sharpens the step (b = 0)", size=(360, 190))
    x = np.linspace(-1, 1, 4001)
    for k, (w, place) in enumerate(((1, (0.6, 0.57)), (10, (0.2, 0.8)), (100, (-0.3, 0.8)), (1000, (-0.34, 0.95)))):
        sharper.line(x, act(w * x), f"c{k}")
        sharper.label(*place, f"W = {w}", f"c{k}")
    moved = Panel((-0.4, 0.1), (0, 1), "the bias b moves it to −b/W (W = 100)", size=(360, 190))
    x = np.linspace(-0.4, 0.1, 4001)
    for k, b in enumerate((0, 10, 20, 30)):
        moved.line(x, act(100 * x + b), f"c{k}")
        moved.label(-b / 100, 0.5, f"b = {b}", f"c{k}")
    alts = (
        "A unit's response: the larger W, the steeper",
        "A unit's response: with b its step stands at -b/W",
    )
    return [Markup(picture([panel], alt)) for panel, alt in zip((sharper, moved), alts, strict=True)]


def staircase_pictures() -> list[tuple[int, float, Markup]]:
    """(steps, largest error measured, picture) of sums of steps along a curve."""
    found = []
    for count in (5, 20, 80):
        one = steps(wave, count)
        panel = Panel((0, 1), (0, 1), f"{count} steps, largest error {one.error:.3f}", size=(304, 190))
        panel.line(one.x, one.target, "target")
        panel.line(one.x, one.sum, "c1")
        alt = f"The sum of {count} steps stays within {one.error:.3f} of the curve"
        found.append((count, one.error, Markup(picture([panel], alt))))
    return found


# --- the page -------------------------------------------------------------------------------------


def page(chosen: Sequence[Activation], measured: Measured) -> str:
    """The whole page as text."""
    cards = [Card(act, measured.accuracy.get(act.name, []), measured.speed.get(act.name, [])) for act in chosen]
    families = {}
    for card in cards:
        families.setdefault(card.act.function.__module__, []).append(card)
    folder = jinja2.FileSystemLoader([HERE, HERE.parents[1] / "gradsim" / "report" / "templates"])
    environment = jinja2.Environment(
        loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("atlas.html.j2").render(
        style=Markup("".join(folder.get_source(environment, name)[0] for name in ("style.css", "atlas.css"))),
        families=[_family(module, members) for module, members in families.items()],
        count=len(cards),
        summary=_summary(cards),
        unit_steps=unit_step_pictures(),
        staircases=staircase_pictures(),
        version=package_version("gradsim"),
        machine=measured.machine,
    )


def _family(module: str, cards: list[Card]) -> dict:
    """What the page shows of a family: its name, and what its module says of itself."""
    name = module.rpartition(".")[2]
    title = name.replace("_", " ").replace("elu like", "ELU-like")
    about = _prose(importlib.import_module(module).__doc__)
    return {"id": f"family-{name}", "title": title[0].upper() + title[1:], "about": about, "cards": cards}


def _summary(cards: Sequence[Card]) -> str:
    """What was measured over all, in a sentence."""
    rows = [row for card in cards for row in card.accuracy]
    if not rows:
        return "Accuracy was not measured for this page."
    within = sum(row["error"] <= row["bar"] for row in rows)
    inputs = min(row["inputs"] for row in rows)
    return (
        f"Value, slope and every parameter derivative were compared with 50-digit arithmetic at {inputs:,} inputs and "
        f"more each, in both precisions: {within:,} of {len(rows):,} results are within their bar, 4 ulp for the "
        f"functions of the founding texts and the libraries, 16 ulp for the rest."
    )


if __name__ == "__main__":
    main()
