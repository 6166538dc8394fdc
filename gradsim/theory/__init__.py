"""Theory of signals and gradients in wide random networks, for any pointwise activation.

`act` is everywhere a name ("tanh", "leaky_relu(slope=0.2)"), a formula in z ("z * sigmoid(z)") or an Activation.
"""

from gradsim.theory.criticality import (
    Critical,
    critical,
    critical_sigma_w,
    edge_of_chaos,
    named_sigma_w,
    phase_diagram,
    theory_table,
)
from gradsim.theory.curves import correlation_curves, variance_curves, what_stays
from gradsim.theory.dying import BornDead, born_dead, simulate_born_dead
from gradsim.theory.layers import profile
from gradsim.theory.meanfield import (
    DepthScales,
    FixedPoint,
    NoFixedPoint,
    chi1,
    correlation_fixed_point,
    correlation_map,
    correlation_slope,
    depth_scales,
    fixed_point,
    fixed_points,
    gain,
    variance_map,
    variance_slope,
)
from gradsim.theory.subject import NoExpectation

__all__ = [
    "BornDead",
    "Critical",
    "DepthScales",
    "FixedPoint",
    "NoExpectation",
    "NoFixedPoint",
    "born_dead",
    "chi1",
    "compare",
    "correlation_curves",
    "correlation_fixed_point",
    "correlation_map",
    "correlation_slope",
    "critical",
    "critical_sigma_w",
    "depth_scales",
    "edge_of_chaos",
    "fixed_point",
    "fixed_points",
    "gain",
    "named_sigma_w",
    "phase_diagram",
    "profile",
    "simulate_born_dead",
    "theory_table",
    "variance_curves",
    "variance_map",
    "variance_slope",
    "what_stays",
]


def compare(results, runs=None):
    """Theory beside measurement before the first step; see `gradsim.theory.campaigns.compare`."""
    from gradsim.theory import campaigns

    return campaigns.compare(results, runs)
