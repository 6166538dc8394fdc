"""The slow, obvious twin of gradsim: one network at a time, NumPy float64, written from the definitions.

It shares no code with the package, so that an error has to be made twice to go unseen. Arrays are
[sample, unit]; weights are a list of (W [fan_in, fan_out], b [fan_out] or None); activations a list of
(name, parameters), one for each hidden layer; the output layer is linear.
"""

from __future__ import annotations

import math

import numpy as np
from naive_activations import ACTIVATIONS, MAX_SLOPE
from naive_activations import ORACLES as ORACLES  # so that tests need one import
from naive_losses import LOSSES
from naive_losses import mean_squared_error as mean_squared_error
from naive_losses import softmax_cross_entropy as softmax_cross_entropy
from naive_optimizers import OPTIMIZERS, clipped

Weights = list[tuple[np.ndarray, np.ndarray | None]]
Activations = list[tuple[str, dict]]


# --- random numbers ---------------------------------------------------------------------


def philox4x32(key: tuple[int, int], counter: tuple[int, ...], rounds: int = 10) -> tuple[int, ...]:
    """Four 32-bit words for a 64-bit key and a 128-bit counter (Salmon et al. 2011, Random123)."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(rounds):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 = (k0 + 0x9E3779B9) % 2**32
        k1 = (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


# --- losses -----------------------------------------------------------------------------


def loss_of(loss: str | tuple[str, dict], out: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss by its name, or by name and parameters, and its derivative in `out`."""
    name, params = (loss, {}) if isinstance(loss, str) else loss
    return LOSSES[name](out, y, **params)


# --- one network ------------------------------------------------------------------------


def forward(weights: Weights, X: np.ndarray, activations: Activations) -> tuple[list, list]:
    """zs[l] = hs[l] W_l + b_l and hs[l + 1] = f_l(zs[l]), with hs[0] = X and zs[-1] == hs[-1] the output."""
    zs, hs = [], [np.asarray(X, np.float64)]
    for (W, b), (name, params) in zip(weights, [*activations, ("identity", {})], strict=True):
        z = hs[-1] @ W if b is None else hs[-1] @ W + b
        zs.append(z)
        hs.append(ACTIVATIONS[name](z, **params)[0])
    return zs, hs


def backward(weights: Weights, zs: list, hs: list, dout: np.ndarray, activations: Activations) -> tuple[list, list]:
    """[(dLoss/dW, dLoss/db or None), ...] and deltas[l] = dLoss/dzs[l], from dout = dLoss/dzs[-1]."""
    last = len(weights) - 1
    deltas = [None] * last + [dout]
    for layer in range(last - 1, -1, -1):
        name, params = activations[layer]
        slope = ACTIVATIONS[name](zs[layer], **params)[1]
        deltas[layer] = (deltas[layer + 1] @ weights[layer + 1][0].T) * slope
    gradients = [
        (h.T @ delta, None if b is None else delta.sum(axis=0))
        for h, delta, (_, b) in zip(hs, deltas, weights, strict=False)
    ]
    return gradients, deltas


def loss_and_gradients(weights: Weights, X, y, activations: Activations, loss) -> tuple[float, list, list]:
    """The loss over the samples X, y, with backward's gradients and deltas; loss: a name, or (name, parameters)."""
    zs, hs = forward(weights, X, activations)
    value, dout = loss_of(loss, zs[-1], y)
    return value, *backward(weights, zs, hs, dout, activations)


def train(
    weights, X, y, batches, activations, loss, optimizer=("sgd", {}), learning_rates=0.1, steps=None, factors=None
):
    """(final weights, batch loss before each step) of `steps` updates, batch t being the samples batches[t].

    optimizer: a name of naive_optimizers and its parameters, clip_norm and clip_value among them.
    learning_rates: one number, or one for each weight layer, its bias included; factors: of the rates, at each step.
    Diverged numbers go on.
    """
    name, params = optimizer
    clip = {k: v for k, v in params.items() if k.startswith("clip_")}
    own = {k: v for k, v in params.items() if k not in clip}
    weights = [tuple(None if a is None else np.array(a, np.float64) for a in layer) for layer in weights]
    flat = [a for layer in weights for a in layer if a is not None]
    rates = np.broadcast_to(np.asarray(learning_rates, np.float64), len(weights))
    each = [rate for layer, rate in zip(weights, rates, strict=True) for a in layer if a is not None]
    losses, state = [], {}
    with np.errstate(over="ignore", invalid="ignore"):
        for step, batch in enumerate(batches[:steps]):
            value, gradients, _ = loss_and_gradients(weights, X[batch], y[batch], activations, loss)
            losses.append(value)
            wanted = clipped([g for layer in gradients for g in layer if g is not None], **clip)
            factor = 1.0 if factors is None else factors[step]
            OPTIMIZERS[name](flat, wanted, state, [factor * rate for rate in each], step, **own)
    return weights, np.array(losses)


# --- what is measured -------------------------------------------------------------------


def rms(a: np.ndarray) -> float:
    """Root mean square over all elements, scaled by the largest: the square of 1e-200 would be 0."""
    largest = float(np.max(np.abs(a)))
    return largest * math.sqrt(np.mean((a / largest) ** 2)) if 0 < largest < math.inf else largest


def saturated(z: np.ndarray, name: str, params: dict) -> tuple[float, float]:
    """Fractions of z with |slope| under a tenth of the largest: (below, above) the point of largest slope."""
    max_slope, point = MAX_SLOPE[name](**params)
    flat = np.abs(ACTIVATIONS[name](z, **params)[1]) < 0.1 * max_slope
    return float(np.mean(flat & (z < point))), float(np.mean(flat & (z >= point)))


def dead_fraction(slope: np.ndarray) -> float:
    """Fraction of units whose |slope| [sample, unit] is under 1e-7 for every sample."""
    samples, units = slope.shape
    dead = 0
    for unit in range(units):
        dead += all(abs(slope[sample, unit]) < 1e-7 for sample in range(samples))
    return dead / units


def sign_coherence(h: np.ndarray, delta: np.ndarray) -> float:
    """|sum over i of sign(dLoss_s/dW[i, unit])| / fan_in, averaged over samples s and units.

    One sample's gradient is dLoss_s/dW[i, unit] = h[s, i] delta[s, unit].
    """
    (samples, fan_in), units = h.shape, delta.shape[1]
    total = 0.0
    for sample in range(samples):
        for unit in range(units):
            total += abs(np.sum(np.sign(h[sample] * delta[sample, unit]))) / fan_in
    return float(total / (samples * units))


def distinct_units(W: np.ndarray, b: np.ndarray | None) -> float:
    """Fraction of units with no earlier unit of the same incoming weights and bias, to a relative 1e-6."""
    incoming = W if b is None else np.vstack([W, b])
    units = W.shape[1]
    distinct = 0
    for j in range(units):
        has_twin = False
        for k in range(j):
            a, c = incoming[:, j], incoming[:, k]
            has_twin |= bool(np.all(np.abs(a - c) <= 1e-6 * np.maximum(np.abs(a), np.abs(c))))
        distinct += not has_twin
    return distinct / units


def update_ratio(W: np.ndarray, previous: np.ndarray | None, following: np.ndarray | None) -> float:
    """rms of the next step's change of W (without one, the last step's) over rms of W; NaN where W is 0."""
    if (previous is None and following is None) or rms(W) == 0:
        return math.nan
    return rms(W - previous if following is None else following - W) / rms(W)


@np.errstate(over="ignore", invalid="ignore")
def layer_statistics(
    weights: Weights,
    X_probe: np.ndarray,
    y_probe: np.ndarray,
    activations: Activations,
    loss: str | tuple[str, dict],
    previous: Weights | None = None,
    following: Weights | None = None,
) -> list[dict[str, float]]:
    """Every per-layer column, a dict for each of the layers 0 .. depth, the last being the linear output.

    Loss is the mean over the probe set. update_ratio compares with the weights one step on (`following`), at
    the last checkpoint with those one step back (`previous`); without either it is NaN. Not blanked where the
    network has diverged: a run's records from its first non-finite loss on are the caller's to set to NaN.
    """
    zs, hs = forward(weights, X_probe, activations)
    gradients, deltas = backward(weights, zs, hs, loss_of(loss, zs[-1], y_probe)[1], activations)
    records = []
    for layer, (name, params) in enumerate([*activations, ("identity", {})]):
        (W, b), z, h = weights[layer], zs[layer], hs[layer + 1]
        before, after = (w[layer][0] if w else None for w in (previous, following))
        low, high = saturated(z, name, params)
        records.append(
            {
                "preactivation_mean": float(np.mean(z)),
                "preactivation_std": float(np.std(z)),
                "activation_mean": float(np.mean(h)),
                "activation_std": float(np.std(h)),
                "saturated_low": low,
                "saturated_high": high,
                "dead": dead_fraction(ACTIVATIONS[name](z, **params)[1]),
                "zero": float(np.mean(h == 0)),
                "delta_rms": rms(deltas[layer]),
                "gradient_rms": rms(gradients[layer][0]),
                "weight_rms": rms(W),
                "update_ratio": update_ratio(W, before, after),
                "sign_coherence": sign_coherence(hs[layer], deltas[layer]),
                "distinct_units": distinct_units(W, b),
            }
        )
    return records


# --- how a run ended --------------------------------------------------------------------


def relative_gain(loss_two_thirds: float, final_loss: float) -> float:
    """Share of the full loss at step ceil(2 steps / 3) that was gone at the end; 0 where that loss was 0."""
    return (loss_two_thirds - final_loss) / loss_two_thirds if loss_two_thirds else 0.0


def outcome(initial_loss: float, final_loss: float, checkpoint_losses, loss_two_thirds: float, target: float) -> str:
    """diverged, converged, stalled or learning, first that holds; every loss is over all training samples."""
    if not math.isfinite(final_loss) or final_loss > 1000 * initial_loss:
        return "diverged"
    if any(loss <= target for loss in checkpoint_losses):
        return "converged"
    return "stalled" if relative_gain(loss_two_thirds, final_loss) < 0.01 else "learning"


def diagnosis(ended: str, losses, records: list[list[dict]], widths: list[int], gain: float = math.nan):
    """(name, layer or None, the number that shows it) of a run that `ended` otherwise than converged.

    First that holds. losses: every loss of the run; records: layer_statistics of each checkpoint; widths: of
    the hidden layers; gain: relative_gain, the number that shows `slow`. The layer is the first that shows
    it; for exploding that of the largest growth, or None where only a non-finite loss, then the number, shows
    it. Symmetric comes before dead, otherwise zeros under ReLU would pass for dead.
    """
    if ended == "converged":
        return "", None, math.nan
    growth, layer = _largest_growth(records)
    if growth >= 1e6:
        return "exploding", layer, growth
    for loss in losses:
        if not math.isfinite(loss):
            return "exploding", None, float(loss)
    end, hidden = records[-1], range(len(widths))
    for layer in hidden:
        if widths[layer] >= 2 and abs(end[layer]["distinct_units"] * widths[layer] - 1) < 0.5:
            return "symmetric", layer, end[layer]["distinct_units"]
    for layer in hidden:
        if end[layer]["dead"] == 1:
            return "dead", layer, 1.0
    for layer in hidden:
        share = end[layer]["saturated_low"] + end[layer]["saturated_high"]
        if share > 0.9:
            return "saturated", layer, share
    if end[0]["delta_rms"] < 1e-6 * end[-1]["delta_rms"]:
        return "vanishing", 0, end[0]["delta_rms"] / end[-1]["delta_rms"]
    return ("slow", None, gain) if ended == "learning" else ("unexplained", None, math.nan)


def _largest_growth(records: list[list[dict]]) -> tuple[float, int | None]:
    """Largest delta_rms of a layer over that of the last layer, over all checkpoints, with its layer."""
    largest, where = 0.0, None
    for checkpoint in records:
        last = checkpoint[-1]["delta_rms"]
        for layer, record in enumerate(checkpoint[:-1]):
            if last > 0 and record["delta_rms"] / last > largest:
                largest, where = record["delta_rms"] / last, layer
    return largest, where
