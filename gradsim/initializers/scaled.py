"""Initializers whose weights are independent of each other: scales of the base numbers and nothing else.

`variance_scaling` is the one core; the names that libraries give its special cases are one entry each. Where libraries
differ there are two names: PyTorch's normal initializers are normal, those of JAX and Keras are cut off at two standard
deviations and widened so that the variance stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gradsim.initializers.record import TRUNCATED_STD, Gain, Initializer, Layer, Option, Scales, Start, gain_of
from gradsim.parameters import Parameter

MODES = Option("fan_in", ("fan_in", "fan_out", "fan_avg", "geo_avg"), {"fan_geo_avg": "geo_avg"})
DISTRIBUTIONS = Option("truncated_normal", ("normal", "truncated_normal", "uniform"), {"untruncated_normal": "normal"})
OFFSET = Parameter(0.0, -1e6, 1e6)
SQRT2 = math.sqrt(2)


def fan_of(layer: Layer, mode: str) -> float:
    """What the variance is divided by."""
    m, n = layer.fan_in, layer.fan_out
    return {"fan_in": m, "fan_out": n, "fan_avg": (m + n) / 2, "geo_avg": math.sqrt(m * n)}[mode]


def spread(std: float, distribution: str, offset: float = 0.0) -> Scales:
    """The distribution of that standard deviation, whatever its shape, about the offset."""
    if distribution == "normal":
        return Scales(offset, normal=std)
    if distribution == "uniform":
        return Scales(offset, uniform=math.sqrt(3) * std)
    return Scales(offset, truncated=std / TRUNCATED_STD)


def _variance_scaling(layer, scale, mode, distribution, gain, offset):
    std = gain_of(gain, layer) * math.sqrt(scale / fan_of(layer, mode))
    return Start(spread(std, distribution, offset))


def _scaled(mode: str, distribution: str) -> Callable[..., Start]:
    """Standard deviation gain / sqrt(fan)."""

    def start(layer: Layer, gain: float | str, offset: float) -> Start:
        return _variance_scaling(layer, 1.0, mode, distribution, gain, offset)

    return start


def _kaiming(distribution: str) -> Callable[..., Start]:
    """Standard deviation gain / sqrt((1 + a^2) fan)."""

    def start(layer: Layer, gain: float | str, a: float, mode: str, offset: float) -> Start:
        return _variance_scaling(layer, 1 / (1 + a * a), mode, distribution, gain, offset)

    return start


def _torch_linear(layer: Layer, offset: float) -> Start:
    limit = 1 / math.sqrt(layer.fan_in)
    return Start(Scales(offset, uniform=limit), biases=Scales(uniform=limit))


def _ntk(layer: Layer, gain: float | str) -> Start:
    return Start(Scales(normal=gain_of(gain, layer) / math.sqrt(layer.fan_in)))


# --- the entries ----------------------------------------------------------------------------------

_EVERYWHERE = "PyTorch, JAX and Keras"
_GLOROT = "Glorot & Bengio 2010"
_HE = "He, Zhang, Ren & Sun 2015"
_LECUN = "LeCun, Bottou, Orr & Müller 1998"

PLAIN = (
    Initializer("zeros", "0", lambda layer: Start(Scales()), reference=_EVERYWHERE),
    Initializer("ones", "1", lambda layer: Start(Scales(1.0)), reference=_EVERYWHERE),
    Initializer(
        "constant",
        "c",
        lambda layer, value: Start(Scales(value)),
        {"value": Parameter(0.1, -1e6, 1e6)},
        reference=_EVERYWHERE,
    ),
    Initializer(
        "normal",
        r"N(\mu, \sigma^2)",
        lambda layer, std, offset: Start(Scales(offset, normal=std)),
        {"std": Parameter(0.01, 0.0, 1e6), "offset": OFFSET},
        reference="JAX's default; PyTorch's std is 1",
    ),
    Initializer(
        "random_normal",
        r"N(\mu, \sigma^2)",
        lambda layer, std, offset: Start(Scales(offset, normal=std)),
        {"std": Parameter(0.05, 0.0, 1e6), "offset": OFFSET},
        reference="Keras's default",
    ),
    Initializer(
        "truncated_normal",
        r"N(\mu, \sigma^2),\ |w - \mu| < 2\sigma",
        lambda layer, std, offset: Start(Scales(offset, truncated=std)),
        {"std": Parameter(0.01, 0.0, 1e6), "offset": OFFSET},
        aliases=("trunc_normal",),
        reference="JAX's default; Keras's std is 0.05, PyTorch's 1",
    ),
    Initializer(
        "uniform",
        r"U(\mu - a, \mu + a)",
        lambda layer, limit, offset: Start(Scales(offset, uniform=limit)),
        {"limit": Parameter(0.05, 0.0, 1e6), "offset": OFFSET},
        aliases=("random_uniform",),
        reference="Keras's default; PyTorch's is U(0, 1), JAX's U(0, 0.01)",
    ),
)


def _named(name: str, formula: str, mode: str, distribution: str, gain: float, reference: str, **more) -> Initializer:
    return Initializer(
        name,
        formula,
        _scaled(mode, distribution),
        {"gain": Gain(gain), "offset": OFFSET},
        reference=reference,
        # The uniform ones have drawn the same ever since they had no gain.
        unmarked=("gain", "offset") if distribution == "uniform" else ("offset",),
        **more,
    )


_TRUNCATED = r",\ |w| < 2.27\,\mathrm{std}"
_AVERAGE, _IN = r"2 g^2/(n_{in} + n_{out})", r"g^2/n_{in}"
_KAIMING = {"gain": Gain(SQRT2), "a": Parameter(0.0, -1e6, 1e6), "mode": MODES, "offset": OFFSET}

SCALED = (
    Initializer(
        "variance_scaling",
        r"\mathrm{variance}\ g^2 s/n",
        _variance_scaling,
        {
            "scale": Parameter(1.0, 0.0, 1e12),
            "mode": MODES,
            "distribution": DISTRIBUTIONS,
            "gain": Gain(1.0),
            "offset": OFFSET,
        },
        reference="JAX and Keras; their normal distributions are named alike, but Keras's normal is truncated",
    ),
    _named(
        "glorot_uniform",
        r"U\left(\pm g\sqrt{6/(n_{in} + n_{out})}\right)",
        "fan_avg",
        "uniform",
        1.0,
        _GLOROT,
        aliases=("xavier_uniform",),
    ),
    _named("glorot_normal", f"N(0, {_AVERAGE}){_TRUNCATED}", "fan_avg", "truncated_normal", 1.0, _GLOROT),
    _named("xavier_normal", f"N(0, {_AVERAGE})", "fan_avg", "normal", 1.0, f"{_GLOROT}; as in PyTorch"),
    _named("he_uniform", r"U\left(\pm g\sqrt{3/n_{in}}\right)", "fan_in", "uniform", SQRT2, _HE),
    _named("he_normal", f"N(0, {_IN}){_TRUNCATED}", "fan_in", "truncated_normal", SQRT2, _HE),
    Initializer(
        "kaiming_uniform",
        r"U\left(\pm g\sqrt{3/((1 + a^2) n)}\right)",
        _kaiming("uniform"),
        _KAIMING,
        reference=f"{_HE}; as in PyTorch",
    ),
    Initializer(
        "kaiming_normal",
        r"N(0, g^2/((1 + a^2) n))",
        _kaiming("normal"),
        _KAIMING,
        reference=f"{_HE}; as in PyTorch",
    ),
    _named("lecun_uniform", r"U\left(\pm g\sqrt{3/n_{in}}\right)", "fan_in", "uniform", 1.0, _LECUN),
    _named("lecun_normal", f"N(0, {_IN}){_TRUNCATED}", "fan_in", "truncated_normal", 1.0, _LECUN),
    Initializer(
        "torch_linear",
        r"W, b: U\left(\pm 1/\sqrt{n_{in}}\right)",
        _torch_linear,
        {"offset": OFFSET},
        reference="PyTorch's Linear",
        own_biases=True,
    ),
    Initializer(
        "ntk",
        r"N(0, g^2/n_{in})",
        _ntk,
        {"gain": Gain(1.0)},
        reference="Jacot, Gabriel & Hongler 2018",
        of_biases=False,
    ),
)
