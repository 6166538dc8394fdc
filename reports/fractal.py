"""The trainability fractal (Sohl-Dickstein 2024): a pixel is a network, its place are two learning rates.

    python reports/fractal.py --size 512                         # tanh, both rates from 10^-3 to 10^6
    python reports/fractal.py relu identity --size 256 --zoom 2  # and 8 and 64 times closer, where most is to be seen
    python reports/fractal.py --window 3.5 5 1 2.5 --size 512    # X0 X1 Y0 Y1, log10 of the rates
    python reports/fractal.py all --quick

A picture is an ordinary campaign, in a results directory of its own: stopped, the same command goes on. Beside it lie
NAME.png, with axes, and NAME-pixels.png, of one pixel a network. `--record` keeps the picture and its numbers in
reports/fractal/.

The network of the paper has 16 inputs x, 16 hidden units, one output and no biases; x, targets and weights W are drawn
from N(0, 1) once, the same in all pixels, and everything is float64:

    out = h W1 / 16,    h = tanh(sqrt 2 x W0 / 4),  sqrt 2 relu(x W0 / 4)  or  x W0 / 4,

trained on mean (out - y)^2 at the rates eta0 of W0 and eta1 of W1. A campaign trains out = f(x' V0) V1. Let V = W / 16
in both layers and x' = g x. With g = 4 sqrt 2, and 4 for identity, the two are the same function of W: x' V0 is what
tanh is taken of, sqrt 2 relu(u) is relu(sqrt 2 u), and f V1 is h W1 / 16. By the chain rule the derivative in W is a
16th of that in V, and a step of V is a 16th of a step of W: the step of W at eta is the step of V at eta / 256. Hence
the initializer normal(std=1/16), inputs times g, and learning rates a 256th of those on the axes; targets and losses
stay as they are. 16 and 256 are powers of two, so that the programs differ by where sqrt 2 is rounded and in the order
of sums.

The pixel is the run column `trainability` (docs/definitions.md). Minibatches are 16 samples drawn with replacement, and
the pixel is then made of losses over all samples, as in the paper, which a checkpoint at every step gives.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "fractal"))

from boundary import Dimension, closer, dimension, edges  # noqa: E402
from page import RECORDS, write_page  # noqa: E402
from shading import draw, save_figure, save_pixels  # noqa: E402

from gradsim import Campaign, Results  # noqa: E402
from gradsim.errors import GradsimError, UsageError, did_you_mean, short  # noqa: E402

WIDTH = 16
SCALE = 1 / WIDTH  # V over W
RATE = SCALE**2
CLOSER = 8  # times, a zoom
MOST_PIXELS, MOST_ZOOMS = 8192, 12
RATES = ("learning rate of the input layer, log10", "learning rate of the output layer, log10")

Window = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Condition:
    """A picture of the paper.

    samples: trained on; window: of the whole picture; labels: of the axes; by_mean: whether x is the mean of all
    initial weights and y the rate of both layers; minibatch: samples of a batch, all where None.
    """

    title: str
    activation: str
    samples: int = WIDTH * (WIDTH + 1)  # one a weight
    window: Window = (-3, 6, -3, 6)
    labels: tuple[str, str] = RATES
    by_mean: bool = False
    minibatch: int | None = None

    @property
    def gain(self) -> float:
        """What inputs are multiplied by."""
        return 4.0 if self.activation == "identity" else 4 * math.sqrt(2)


CONDITIONS = {
    "tanh": Condition("tanh, full batches", "tanh"),
    "relu": Condition("ReLU, full batches", "relu"),
    "identity": Condition("no activation, full batches", "identity", samples=WIDTH),
    "minibatch": Condition("tanh, batches of 16", "tanh", minibatch=16),
    "single": Condition("tanh, one sample", "tanh", samples=1),
    "mean": Condition(
        "tanh, full batches, initial mean against rate",
        "tanh",
        window=(-4, 4, 1.5, 2.5),
        labels=("mean of the initial weights", "learning rate of both layers, log10"),
        by_mean=True,
    ),
}


# --- the campaign ---------------------------------------------------------------------------------


def arrays(condition: Condition, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs times their gain, and targets. One sample comes with another, for the test set: two is the least."""
    random = np.random.default_rng(seed)
    samples = max(condition.samples, 2)
    X, y = random.standard_normal((samples, WIDTH)), random.standard_normal(samples)
    return condition.gain * X, y


def campaign_of(name: str, window: Window, size: int, steps: int = 500, seed: int = 0) -> Campaign:
    """The campaign of a picture: `size` x `size` networks, the outermost at the ends of the window."""
    condition = CONDITIONS[name]
    X, y = arrays(condition, seed)
    every = condition.minibatch is not None
    return Campaign(
        name=f"fractal-{name}",
        dataset={"name": "arrays", "X": X, "y": y, "task": "regression"},
        scaling="none",
        test_fraction=0.5 if condition.samples == 1 else 0.0,
        depth=1,
        width=WIDTH,
        activation=condition.activation,
        bias=False,
        initializer={"name": "normal", "std": SCALE},
        loss="mean_squared_error",
        batch_size=condition.minibatch or "full",
        batch_order="replacement" if every else "epoch",
        steps=steps,
        dtype="float64",
        seed=seed,
        store="runs",
        checkpoints=list(range(steps + 1)) if every else [],
        probe_samples=1 if every else WIDTH,
        grid=axes_of(condition, window, size),
    )


def axes_of(condition: Condition, window: Window, size: int) -> dict[str, dict[str, list]]:
    """The grid, y first. Raises UsageError for a window that is not one."""
    x0, x1, y0, y1 = check_window(window, size)
    ordinates = {"geomspace": [10**y0 * RATE, 10**y1 * RATE, size]}
    if condition.by_mean:
        return {"learning_rate": ordinates, "initializer.offset": {"linspace": [x0 * SCALE, x1 * SCALE, size]}}
    return {"learning_rate.1": ordinates, "learning_rate.0": {"geomspace": [10**x0 * RATE, 10**x1 * RATE, size]}}


def check_window(window: Window, size: int) -> Window:
    """The window. Raises UsageError for one that has no width, is out of bounds or too narrow for float64."""
    shown = " ".join(f"{v!r}" for v in window)
    for low, high in (window[:2], window[2:]):
        if not (-20 <= low < high <= 20):
            raise UsageError(f"--window {shown}: must be X0 < X1 and Y0 < Y1, from -20 to 20")
        if (high - low) / size < 1e-14:
            raise UsageError(f"--window {shown}: too narrow for {size} different numbers; float64 ends here")
    return window


def measure_of(results: Results, size: int) -> np.ndarray:
    """`trainability` [size, size]; rows are ordinates, upward, columns abscissas."""
    rows, columns = results.settings["grid"]
    found = results.query(f'select trainability from runs order by "{rows}", "{columns}"')
    return found["trainability"].to_numpy(float).reshape(size, size)


# --- a picture ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that has been computed, and what is measured of it."""

    condition: str
    window: Window
    measure: np.ndarray
    steps: int
    seed: int
    info: Mapping[str, object]
    found: Dimension | None

    @property
    def size(self) -> int:
        return len(self.measure)

    @property
    def magnification(self) -> float:
        """How many times narrower the window is than the condition's own."""
        a, b = CONDITIONS[self.condition].window, self.window
        return math.sqrt((a[1] - a[0]) * (a[3] - a[2]) / ((b[1] - b[0]) * (b[3] - b[2])))

    @property
    def name(self) -> str:
        """The condition, and how much closer it is."""
        full = self.window == CONDITIONS[self.condition].window
        return self.condition if full else f"{self.condition}-{self.magnification:.3g}x"

    @property
    def command(self) -> str:
        window = "" if self.name == self.condition else " --window " + " ".join(f"{v!r}" for v in self.window)
        seed = f" --seed {self.seed}" if self.seed else ""
        return f"python reports/fractal.py {self.condition} --size {self.size} --steps {self.steps}{seed}{window}"

    @property
    def record(self) -> dict[str, object]:
        """What the page is made of."""
        return {
            "title": CONDITIONS[self.condition].title,
            "condition": self.condition,
            "window": self.window,
            "magnification": self.magnification,
            "size": self.size,
            "steps": self.steps,
            "command": self.command,
            "converged": float((self.measure < 0).mean()),
            "dimension": self.found and [self.found.value, self.found.low, self.found.high],
            "slopes": self.found and self.found.slopes,
            **{key: self.info.get(key) for key in ("seconds", "threads", "cpu", "date")},
        }

    def sentence(self) -> str:
        """What was found, in a line."""
        seconds = float(self.info.get("seconds", 0))
        box = "no boundary to measure" if self.found is None else f"box-counting dimension {dimension_text(self.found)}"
        speed = f", {self.size**2 / seconds:,.0f} networks/s" if seconds else ""
        share = f"{(self.measure < 0).mean():.1%} converge"
        return f"{self.name}: {self.size} x {self.size} networks, {seconds:.0f} s{speed}; {share}; {box}"

    def save(self, folder: Path, inset: Window | None = None) -> None:
        """NAME.png, with axes and a frame about the inset."""
        condition = CONDITIONS[self.condition]
        note = f"{self.size} x {self.size} networks of {self.steps} steps."
        if self.found is not None:
            note += f" Box-counting dimension of the boundary {dimension_text(self.found)}."
        times = "" if self.name == self.condition else f", {self.magnification:,.3g} times closer"
        figure = draw(self.measure, self.window, condition.title + times, condition.labels, note, inset)
        folder.mkdir(parents=True, exist_ok=True)
        save_figure(figure, folder / f"{self.name}.png")


def dimension_text(found: Dimension) -> str:
    """1.34 (95% interval 1.29 to 1.41)."""
    return f"{found.value:.2f} (95% interval {found.low:.2f} to {found.high:.2f})"


def computed(name: str, window: Window, given: argparse.Namespace) -> Picture:
    """Train what is missing of a picture, and measure it."""
    campaign = campaign_of(name, window, given.size, given.steps, given.seed)
    folder = given.out / f"{name}-{given.size}-{campaign.digest[:8]}"
    results = campaign.run(folder, threads=given.threads, progress=not given.quiet)
    measure = measure_of(results, given.size)
    found = dimension(edges(measure))
    return Picture(name, window, measure, given.steps, given.seed, results.info, found)


def part(window: Window, shares: Sequence[float]) -> Window:
    """A part of a window, in numbers that are short to write."""
    x0, x1, y0, y1 = window
    out = []
    for low, high, (a, b) in ((x0, x1, shares[:2]), (y0, y1, shares[2:])):
        width = (b - a) * (high - low)
        digits = max(0, math.ceil(-math.log10(width)) + 2)
        start = min(round(low + a * (high - low), digits), high - width)
        out += [start, round(start + width, digits + 3)]
    return tuple(out)


def pictures(name: str, given: argparse.Namespace) -> None:
    """A condition's picture, and as many zooms as are asked for, each of a part of the one before."""
    window = tuple(given.window or CONDITIONS[name].window)
    for zoom in range(given.zoom + 1):
        picture = computed(name, window, given)
        shares = closer(picture.measure, CLOSER) if zoom < given.zoom else None
        inset = None if shares is None else part(window, shares)
        picture.save(given.out, inset)
        save_pixels(picture.measure, given.out / f"{picture.name}-pixels.png")
        print(picture.sentence(), flush=True)
        if given.record:
            picture.save(HERE / "fractal", inset or next_window(picture))
            record(picture)
        if zoom < given.zoom and inset is None:
            print(f"{picture.name}: nothing to zoom into", flush=True)
            return
        window = inset


def recorded() -> dict[str, dict]:
    """The numbers of the pictures that are kept."""
    return json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}


def next_window(picture: Picture) -> Window | None:
    """The widest kept window of the same condition that lies within a picture."""
    x0, x1, y0, y1 = picture.window
    others = [tuple(r["window"]) for r in recorded().values() if r["condition"] == picture.condition]
    within = [(a, b, c, d) for a, b, c, d in others if x0 < a < b < x1 and y0 < c < d < y1]
    return max(within, key=lambda w: (w[1] - w[0]) * (w[3] - w[2]), default=None)


def record(picture: Picture) -> None:
    """Keep a picture's numbers, and write the page anew."""
    kept = recorded()
    kept[picture.name] = picture.record
    order = list(CONDITIONS)
    ranked = sorted(kept.items(), key=lambda item: (order.index(item[1]["condition"]), item[1]["magnification"]))
    RECORDS.write_text(json.dumps(dict(ranked), indent=1) + "\n", encoding="utf-8")
    write_page()


# --- the command line -----------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked. Raises UsageError."""
    parser = _Parser(prog="fractal.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("conditions", nargs="*", metavar="CONDITION", help=f"{', '.join(CONDITIONS)}, or all (default: tanh)")
    add("--size", type=int, default=512, metavar="N", help="N x N networks (default: 512)")
    add("--steps", type=int, default=500, metavar="N", help="of training (default: 500)")
    add("--window", type=float, nargs=4, metavar=("X0", "X1", "Y0", "Y1"), help="log10 of the rates; of mean, X itself")
    add("--zoom", type=int, default=0, metavar="N", help=f"N more pictures, each {CLOSER} times closer than the last")
    add("--seed", type=int, default=0, metavar="N", help="of weights and data (default: 0)")
    add("--quick", action="store_true", help="64 x 64 networks of 100 steps")
    add("--out", type=Path, metavar="DIR", help="pictures and results (default: results/fractal)")
    add("--record", action="store_true", help="keep the picture and its numbers in reports/fractal/")
    add("--threads", type=int, metavar="N", help="worker threads (default: one a core)")
    add("--quiet", action="store_true", help="no progress")
    given = parser.parse_args(argv)
    if given.quick and given.record:
        raise UsageError("--record is for full pictures; leave out --quick")
    if given.quick:
        given.size, given.steps = 64, 100
    given.out = given.out or Path("results") / ("fractal-quick" if given.quick else "fractal")
    given.conditions = list(CONDITIONS) if "all" in given.conditions else given.conditions or ["tanh"]
    for name in given.conditions:
        if name not in CONDITIONS:
            raise UsageError(f"unknown condition {short(name)}{did_you_mean(name, [*CONDITIONS, 'all'])}")
    for key, low, high in (("size", 2, MOST_PIXELS), ("zoom", 0, MOST_ZOOMS)):
        if not low <= getattr(given, key) <= high:
            raise UsageError(f"--{key} {getattr(given, key)}: must be from {low} to {high}")
    if given.seed < 0:
        raise UsageError(f"--seed {given.seed}: must be at least 0")
    if given.window and len(given.conditions) > 1:
        raise UsageError("--window: is of one condition; give one")
    return given


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pictures; 0 done, 1 failed, 2 usage, 130 stopped."""
    try:
        given = parsed(argv)
        for name in given.conditions:
            pictures(name, given)
    except GradsimError as error:
        print(f"fractal.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\nfractal.py: stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
