"""Initial weights: every initializer is a shift and scales of common base numbers.

A weight is `shift + normal * N + uniform * U` with N standard normal and U uniform on [-1, 1], drawn from counters that
know only the seed, the layer and the weight's place. The same seed therefore draws the same base numbers under every
initializer: comparisons are paired. Biases are drawn the same way from a stream of their own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from gradsim.parameters import Parameter


@dataclasses.dataclass(frozen=True)
class Scales:
    """Weights `shift + normal * N(0, 1) + uniform * U(-1, 1)`."""

    shift: float = 0.0
    normal: float = 0.0
    uniform: float = 0.0


@dataclasses.dataclass(frozen=True)
class Initializer:
    """An initializer: `scales(fan_in, fan_out, **parameters)` and what is known of it."""

    name: str
    formula: str
    scales: Callable[..., Scales]
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    reference: str = ""


def variance_scaling(scale: float, mode: str, distribution: str) -> Callable[[int, int], Scales]:
    """The one core: variance `scale / fan`, with fan = fan_in, fan_out or their mean.

    distribution: "normal" with that standard deviation, or "uniform" on +-sqrt(3 scale / fan).
    """

    def scales(fan_in: int, fan_out: int) -> Scales:
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        if distribution == "normal":
            return Scales(normal=math.sqrt(scale / fan))
        return Scales(uniform=math.sqrt(3 * scale / fan))

    return scales


_GLOROT = "Glorot & Bengio 2010"
_HE = "He, Zhang, Ren & Sun 2015"
_LECUN = "LeCun, Bottou, Orr & Müller 1998"

INITIALIZERS = {
    initializer.name: initializer
    for initializer in (
        Initializer("zeros", "0", lambda fan_in, fan_out: Scales()),
        Initializer(
            "constant",
            "c",
            lambda fan_in, fan_out, value: Scales(shift=value),
            {"value": Parameter(0.1, -1e6, 1e6)},
        ),
        Initializer(
            "normal",
            r"N(0, \sigma^2)",
            lambda fan_in, fan_out, std: Scales(normal=std),
            {"std": Parameter(0.01, 0.0, 1e6)},
        ),
        Initializer(
            "uniform",
            r"U(-a, a)",
            lambda fan_in, fan_out, limit: Scales(uniform=limit),
            {"limit": Parameter(0.05, 0.0, 1e6)},
        ),
        Initializer(
            "glorot_uniform",
            r"U\left(\pm\sqrt{6/(n_{in} + n_{out})}\right)",
            variance_scaling(1.0, "fan_avg", "uniform"),
            aliases=("xavier_uniform",),
            reference=_GLOROT,
        ),
        Initializer(
            "glorot_normal",
            r"N(0, 2/(n_{in} + n_{out}))",
            variance_scaling(1.0, "fan_avg", "normal"),
            aliases=("xavier_normal",),
            reference=_GLOROT,
        ),
        Initializer(
            "he_uniform",
            r"U\left(\pm\sqrt{6/n_{in}}\right)",
            variance_scaling(2.0, "fan_in", "uniform"),
            aliases=("kaiming_uniform",),
            reference=_HE,
        ),
        Initializer(
            "he_normal",
            r"N(0, 2/n_{in})",
            variance_scaling(2.0, "fan_in", "normal"),
            aliases=("kaiming_normal",),
            reference=_HE,
        ),
        Initializer(
            "lecun_uniform",
            r"U\left(\pm\sqrt{3/n_{in}}\right)",
            variance_scaling(1.0, "fan_in", "uniform"),
            reference=_LECUN,
        ),
        Initializer(
            "lecun_normal",
            r"N(0, 1/n_{in})",
            variance_scaling(1.0, "fan_in", "normal"),
            reference=_LECUN,
        ),
    )
}
