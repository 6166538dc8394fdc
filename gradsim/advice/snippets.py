"""Code to paste: a network with the recommended settings in PyTorch, Keras or JAX."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from gradsim.activations import Activation
from gradsim.advice.formulas import FRAMEWORKS, TITLES, activation_source
from gradsim.choices import parse
from gradsim.errors import UsageError, did_you_mean
from gradsim.fields import completed
from gradsim.initializers import INITIALIZERS, TRUNCATED_STD, Layer, fan_of

if TYPE_CHECKING:
    from gradsim.advice.result import Recommendation

# Rows that initializers which look at data look at.
ROWS = 256
# Initializers whose variance is divided by the mean of both fans; of the others it is the fan in.
_AVERAGED = ("glorot_uniform", "glorot_normal", "xavier_normal")
_DISTRIBUTIONS = ("uniform", "normal", "truncated")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How layers begin, in numbers.

    Attributes:
        kind: "scaled" (independent weights), "orthogonal", "lsuv" or "data_dependent".
        distribution: of scaled ones, "normal", "truncated" (at two standard deviations) or "uniform".
        mode: what their variance is divided by, "fan_in" or "fan_avg".
        gain, last_gain: factor of the standard deviation in hidden layers and in the output layer.
        bias_std: standard deviation of the biases of hidden layers, normal.
        linear: whether weights and biases are both PyTorch's default, uniform up to 1/sqrt(fan_in).
    """

    kind: str
    distribution: str = ""
    mode: str = "fan_in"
    gain: float = 1.0
    last_gain: float = 1.0
    bias_std: float = 0.0
    linear: bool = False

    @property
    def apart(self) -> bool:
        """Whether the output layer begins otherwise than hidden ones."""
        return self.gain != self.last_gain or self.bias_std > 0


def recipe(initializer: str, activation: Activation) -> Recipe:
    """The recipe of an initializer that `recommend` may choose. Raises UsageError for another."""
    choice = completed("initializer", parse(initializer, "initializer"))
    entry = INITIALIZERS[choice.name]
    if entry.method in ("lsuv", "data_dependent"):
        return Recipe(entry.method)
    width = 64
    hidden, last = (Layer(width, width, act) for act in (activation, None))
    first, end = (entry.start(layer, **choice.values) for layer in (hidden, last))
    if entry.method == "orthogonal":
        return Recipe("orthogonal", gain=first.numbers[0], last_gain=end.numbers[0])
    used = [name for name in _DISTRIBUTIONS if getattr(first.weights, name)]
    if entry.method or len(used) != 1 or first.weights.shift:
        raise UsageError(f"code: initializer {initializer!r} cannot be written")
    mode = "fan_avg" if choice.name in _AVERAGED else choice.values.get("mode", "fan_in")
    gains = [math.sqrt(start.weights.moments[1] * fan_of(hidden, mode)) for start in (first, end)]
    linear = choice.name == "torch_linear"
    bias = 0.0 if first.biases is None or linear else first.biases.normal
    return Recipe("scaled", used[0], mode, *gains, bias_std=bias, linear=linear)


def snippet(result: Recommendation, framework: str) -> str:
    """The program; see `Recommendation.code`."""
    if framework not in FRAMEWORKS:
        raise UsageError(f"code = {framework!r}{did_you_mean(str(framework)[:100], FRAMEWORKS)}")
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gradsim.advice", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(f"{framework}.py.j2").render(_context(result, framework))


def _context(result: Recommendation, framework: str) -> dict[str, object]:
    from gradsim.versions import package_version

    question, setting = result.question, result.setting
    return {
        "about": f"{result.activation} with {setting.initializer}, {question.network}",
        "evidence": f"{result.converged} of {result.seeds} seeds converged on {question.data_name} "
        f"within {question.steps:,} steps",
        "version": package_version("gradsim"),
        "widths": f"[{question.data.features}] + [{question.width}] * {question.depth} + [{question.data.outputs}]",
        "activation": activation_source(setting.activation, framework),
        "initializer": setting.initializer,
        "recipe": recipe(setting.initializer, setting.activation),
        "truncated_std": TRUNCATED_STD,
        "rows": ROWS,
        "optimizer": setting.optimizer,
        "rate": f"{setting.learning_rate:g}",
        "classification": question.data.task == "classification",
        "outputs": question.data.outputs,
        "steps": question.steps,
        "batch_size": question.batch_size,
    }


__all__ = ["FRAMEWORKS", "TITLES", "Recipe", "recipe", "snippet"]
