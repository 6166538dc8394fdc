"""Exact activations: ORACLES[name](z, **parameters) -> Exact(value, slope, parameters), at 50 digits.

Every other module here is a family of formulas and is imported by being here: add a file, decorate, done.

    from oracles import oracle
    from oracles.dual import exp, log1p, tanh

    @oracle
    def mish(z):
        return z * tanh(log1p(exp(z)))

Layerwise ones: LAYER_ORACLES[name]([z ...], **shape) -> ExactLayer(outputs, jacobian), entered by `@layer_oracle`.
"""

from __future__ import annotations

import importlib
import pkgutil

from oracles.table import DIGITS, LAYER_ORACLES, ORACLES, Exact, ExactLayer, LayerOracle, Oracle, layer_oracle, oracle

__all__ = [
    "DIGITS",
    "LAYER_ORACLES",
    "ORACLES",
    "Exact",
    "ExactLayer",
    "LayerOracle",
    "Oracle",
    "layer_oracle",
    "oracle",
]

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
