"""How the networks of given settings begin: initializers of weights and biases, layer by layer.

Between the settings of a run and the engine: what initializers are told of a layer, what they answer, and whether they
can be had together.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from gradsim.choices import Choice
from gradsim.cohort import bound_activation, layer_activations
from gradsim.engine.initialize import SCALES, Starts
from gradsim.errors import GradsimError, UsageError
from gradsim.fields import RunFields
from gradsim.initializers import INITIALIZERS, METHODS, MOST_NUMBERS, Initializer, Layer, Scales, Start

Shapes = Sequence[tuple[int, int]]


def _entry(choice: Choice) -> Initializer:
    return INITIALIZERS[choice.name]


def _looks_at_activation(choice: Choice) -> bool:
    return _entry(choice).looks_at_activation(choice.values)


@functools.lru_cache(maxsize=10_000)
def _start(choice: Choice, layer: Layer) -> Start:
    return _entry(choice).start(layer, **choice.values)


def _starts_of(field: str, cell: RunFields, shapes: Shapes) -> list[Start]:
    """What the field's initializer makes of each layer. Raises UsageError, in one line, where it cannot."""
    choice = getattr(cell, field)
    activations = [None] * len(shapes)
    if _looks_at_activation(choice):  # otherwise all activations are one, to what is kept
        activations = [*map(bound_activation, layer_activations(cell)), None]
    try:
        return [_start(choice, Layer(m, n, a, cell.bias)) for (m, n), a in zip(shapes, activations, strict=True)]
    except GradsimError as error:
        raise UsageError(f"{field} = {choice.name!r}: {error}") from None


def layer_starts(cell: RunFields, shapes: Shapes) -> list[tuple[Start, Scales]]:
    """How the weights and the biases of each layer begin; shapes: (fan_in, fan_out) of each."""
    weights = _starts_of("initializer", cell, shapes)
    if _entry(cell.initializer).own_biases:
        return [(start, start.biases) for start in weights]
    return [(w, b.weights) for w, b in zip(weights, _starts_of("bias_initializer", cell, shapes), strict=True)]


def layer_moments(cell: RunFields, shapes: Shapes) -> list[tuple[tuple[float, float], tuple[float, float]] | None]:
    """((mean, variance) of a weight, (mean, variance) of a bias) of each layer; None where the data decide."""
    entry, out = _entry(cell.initializer), []
    for start, biases in layer_starts(cell, shapes):
        weights = entry.moments_of(start)
        drawn = entry.bias_moments_of(start) if entry.own_biases else biases.moments
        out.append(None if weights is None else (weights, drawn))
    return out


def check_initializers(cell: RunFields) -> None:
    """Whether a run's initializers go together, and exist for its activations. Raises UsageError; needs no data."""
    biases = cell.bias_initializer
    if not _entry(biases).of_biases:
        raise UsageError(f"bias_initializer = {biases.name!r}: draws weights only; for example 'zeros' or 'constant'")
    if _entry(cell.initializer).own_biases and cell.bias and biases.name != "zeros":
        raise UsageError(
            f"bias_initializer = {biases.name!r}: initializer {cell.initializer.name!r} draws the biases itself; "
            "leave it at 'zeros'"
        )
    if _looks_at_activation(cell.initializer) or _looks_at_activation(biases):
        layer_starts(cell, [(1, 1)] * (len(cell.widths) + 1))


def _with_activation_values(cell: RunFields, values: Mapping[str, float]) -> RunFields:
    """The settings with parameters of activations, by their dotted names, set wherever an activation has them."""
    if not values:
        return cell
    given = {name.partition(".")[2]: v for name, v in values.items()}
    own = (c.having(**{k: v for k, v in given.items() if k in c.values}) for c in cell.activation)
    return cell.model_copy(update={"activation": tuple(own)})


def network_starts(
    cells: Sequence[RunFields], inverse: np.ndarray, lane_values: Mapping[str, np.ndarray], shapes: Shapes
) -> Starts:
    """How n networks begin: network i has the settings cells[inverse[i]], with its own value of every lane axis."""
    varied = {}
    if any(_looks_at_activation(choice) for c in cells for choice in (c.initializer, c.bias_initializer)):
        varied = {name: v for name, v in lane_values.items() if name.startswith("activation.")}
    rows = np.stack([inverse, *varied.values()], axis=1)
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    scales = np.zeros((len(distinct), len(shapes), 2, SCALES))
    methods, numbers = np.zeros(len(distinct), np.int64), np.zeros((len(distinct), len(shapes), MOST_NUMBERS))
    for k, (number, *values) in enumerate(distinct.tolist()):
        cell = _with_activation_values(cells[int(number)], dict(zip(varied, values, strict=True)))
        methods[k] = METHODS.index(_entry(cell.initializer).method)
        for i, (start, biases) in enumerate(layer_starts(cell, shapes)):
            for j, given in enumerate((start.weights, biases)):
                scales[k, i, j] = given.shift, given.normal, given.uniform, given.truncated
            numbers[k, i, : len(start.numbers)] = start.numbers
    which = which.reshape(-1)
    return Starts(scales[which], methods[which], numbers[which])
