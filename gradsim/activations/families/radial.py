"""Bell-shaped activations: largest at a center, vanishing on both sides."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.lanes import exp, fma, where


@pointwise(
    "e^{-z^2}",
    range=(0.0, 1.0),
    saturates="both",
    steepest=(0.8577638849607068, -0.7071067811865476),
    reference="Broomhead & Lowe 1988",
)
def gaussian(z):
    """Gaussian bell; the rounding error of z^2 is put back."""
    z = where(z > 30, 30, z)
    z = where(z < -30, -30, z)
    square = z * z
    g = exp(-square)
    g = fma(g, -fma(z, z, -square), g)
    return g, -2 * z * g
