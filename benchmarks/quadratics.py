"""Where gradient descent and heavy ball converge on a quadratic, measured against the closed forms.

    python benchmarks/quadratics.py

A linear model under the mean squared error is a quadratic in its weights, whose Hessian is 2 X'X/n. What the engine's
runs do is measured without knowing that: thresholds and best learning rates are looked for from 1e-3 to 1e3, 64 rates
at a time. Printed beside each is what theory predicts from the eigenvalues of the Hessian (Polyak 1964). The exit code
is 1 where any differs by more than 0.1%.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import gradsim as gs

TOLERANCE = 1e-3
RATES, MOMENTS = 64, 41
WIDEST = 1e-3, 1e3


class Row(NamedTuple):
    """One comparison."""

    case: str
    predicted: float
    measured: float

    @property
    def difference(self) -> float:
        """Relative."""
        return abs(self.measured / self.predicted - 1)


# --- quadratics -----------------------------------------------------------------------------------


def drawn(samples: int = 16, features: int = 6, seed: int = 0) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=(samples, features))


def with_eigenvalues(*eigenvalues: float, samples: int = 8, seed: int = 1) -> np.ndarray:
    """Samples whose Hessian has given eigenvalues, its eigenvectors along no axis."""
    random, n = np.random.default_rng(seed), len(eigenvalues)
    left, right = (np.linalg.qr(random.normal(size=(m, n)))[0] for m in (samples, n))
    return math.sqrt(samples / 2) * (left * np.sqrt(eigenvalues)) @ right.T


def ends(X: np.ndarray) -> tuple[float, float]:
    """The least and the largest eigenvalue of the Hessian."""
    found = np.linalg.eigvalsh(2 * X.T @ X / len(X))
    return float(found[0]), float(found[-1])


def targets(X: np.ndarray) -> np.ndarray:
    """As good as 0, so that the optimum is 0 and a distance from it keeps its digits however small it becomes; targets
    must vary."""
    y = np.zeros((len(X), 1))
    y[0] = 1e-300
    return y


def distances(X: np.ndarray, optimizer: str, rates: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How far from the optimum runs are after so many steps [rates, steps], by the root of the loss; infinite where
    numbers are no longer finite."""
    campaign = gs.Campaign(
        dataset=(X, targets(X)),
        scaling="none",
        test_fraction=0,
        depth=0,
        bias=False,
        initializer="normal(std=1)",
        loss="mean_squared_error",
        optimizer=optimizer,
        batch_size="full",
        steps=int(steps[-1]),
        checkpoints=steps.tolist(),
        dtype="float64",
        grid={"learning_rate": rates.tolist()},
    )
    with tempfile.TemporaryDirectory() as folder:
        results = campaign.run(folder, threads=1, progress=False)
        curves = results.curves.merge(results.runs[["run_id", "learning_rate"]])
    table = curves.pivot(index="learning_rate", columns="step", values="train_loss")
    return np.sqrt(table.loc[rates, steps].fillna(np.inf).to_numpy())


# --- what is measured -----------------------------------------------------------------------------


def factors(X: np.ndarray, optimizer: str, rates: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """By how much a step multiplies the distance: least squares of its logarithm between two steps.

    Infinite where numbers overflow, 0 where they underflow.
    """
    moments = np.linspace(*steps, MOMENTS).round().astype(int)
    found = distances(X, optimizer, rates, moments)
    usable = np.isfinite(found).all(axis=1) & (found > 0).all(axis=1)
    slopes = np.polyfit(moments, np.log(found[usable]).T, 1)[0]
    out = np.where(np.isfinite(found).all(axis=1), 0.0, np.inf)
    out[usable] = np.exp(slopes)
    return out


def zoom(pick: Callable[[np.ndarray], tuple[int, int]]) -> float:
    """The rate that `pick` closes in on: of rates, ascending, the places of two that it lies between."""
    low, high = WIDEST
    while high / low > 1 + TOLERANCE / 20:
        rates = np.geomspace(low, high, RATES)
        first, last = pick(rates)
        low, high = rates[max(first, 0)], rates[min(last, RATES - 1)]
    return math.sqrt(low * high)


def threshold(X: np.ndarray, optimizer: str, steps: tuple[int, int] = (1500, 3000)) -> float:
    """The learning rate beyond which runs move away from the optimum."""

    def pick(rates: np.ndarray) -> tuple[int, int]:
        first = int(np.argmax(factors(X, optimizer, rates, steps) > 1))
        return first - 1, first

    return zoom(pick)


def best(X: np.ndarray, optimizer: str, steps: tuple[int, int]) -> tuple[float, float]:
    """The learning rate of the least factor, and the factor."""

    def pick(rates: np.ndarray) -> tuple[int, int]:
        least = int(np.argmin(factors(X, optimizer, rates, steps)))
        return least - 1, least + 1

    rate = zoom(pick)
    return rate, float(factors(X, optimizer, np.array([rate]), steps)[0])


def sharpness(X: np.ndarray) -> float:
    """What the probe says at the start."""
    campaign = gs.Campaign(
        dataset=(X, targets(X)),
        scaling="none",
        test_fraction=0,
        depth=0,
        bias=False,
        dtype="float64",
        batch_size="full",
    )
    run_id = campaign.plan.run_ids(np.arange(1))[0]
    return float(campaign.replay(run_id).sharpness[0])


# --- the table ------------------------------------------------------------------------------------


def descent() -> list[Row]:
    """Gradient descent: the threshold, the best rate, and the factor there."""
    X = with_eigenvalues(0.2, 1.0, 2.5, 4.0, seed=3)
    two = (("chosen spectrum", X), ("drawn samples", drawn()))
    low, high = ends(X)
    rate, factor = best(X, "sgd", (1500, 3000))
    return [
        *(Row(f"sharpness at the start, {name}", ends(x)[1], sharpness(x)) for name, x in two),
        *(Row(f"gradient descent, {name}: threshold", 2 / ends(x)[1], threshold(x, "sgd")) for name, x in two),
        Row("gradient descent: best rate", 2 / (low + high), rate),
        Row("gradient descent: factor there", (high - low) / (high + low), factor),
    ]


def momentum(beta: float) -> list[Row]:
    """Heavy ball and Nesterov's method: the threshold."""
    X = drawn(seed=2)
    high = ends(X)[1]
    return [
        Row(f"heavy ball, beta = {beta:g}: threshold", 2 * (1 + beta) / high, threshold(X, f"momentum(beta={beta})")),
        Row(
            f"Nesterov, beta = {beta:g}: threshold",
            2 * (1 + beta) / (1 + 2 * beta) / high,
            threshold(X, f"nesterov(beta={beta})"),
        ),
    ]


def best_momentum() -> list[Row]:
    """Heavy ball at Polyak's beta: the best rate, and the factor there.

    Two roots coincide there and the distance is t factor^t: what is measured over thousands of steps is larger by
    about one over their number.
    """
    X = with_eigenvalues(0.001, 0.02, 0.4, 2.5)
    low, high = ends(X)
    beta = ((math.sqrt(high / low) - 1) / (math.sqrt(high / low) + 1)) ** 2
    rate, factor = best(X, f"momentum(beta={beta!r})", (4000, 8000))
    return [
        Row(f"heavy ball, beta = {beta:.4f}: best rate", (2 / (math.sqrt(high) + math.sqrt(low))) ** 2, rate),
        Row(f"heavy ball, beta = {beta:.4f}: factor there", math.sqrt(beta), factor),
    ]


def rows() -> list[Row]:
    """All comparisons."""
    return [*descent(), *(row for beta in (0.5, 0.9, 0.99) for row in momentum(beta)), *best_momentum()]


def main() -> int:
    """Print the table; 1 where anything is off."""
    print(f"{'case':<48}{'predicted':>12}{'measured':>12}{'difference':>12}")
    found = rows()
    for row in found:
        print(f"{row.case:<48}{row.predicted:>12.6g}{row.measured:>12.6g}{row.difference:>12.1e}")
    return int(any(row.difference > TOLERANCE for row in found))


if __name__ == "__main__":
    raise SystemExit(main())
