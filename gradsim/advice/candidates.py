"""Theory narrows: which initializers are worth trying for an activation in a network of some depth.

Squared gradients change by chi(q) a layer, q the variance of pre-activations there. Over all hidden layers that is
exp(G), G the sum of ln chi: networks train where G is within about 6 of 0, that is up to six depth scales deep
(Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017). Initializers beyond are not tried, unless nothing else is left.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator

from gradsim.activations import Activation
from gradsim.choices import parse
from gradsim.errors import GradsimError, UsageError, short
from gradsim.fields import completed
from gradsim.initializers import INITIALIZERS, Layer
from gradsim.theory.criticality import Critical, critical, edge_of_chaos
from gradsim.theory.meanfield import NoFixedPoint, chi_at, fixed_point, variance_map
from gradsim.theory.quadrature import gaussian_mean
from gradsim.theory.subject import NoExpectation, called

REACH = 6.0
# Changes of the squared gradient by less than e^2 over all layers are not worth a less common initializer.
CLOSE = 2.0
# What libraries and textbooks start from: always compared with what is recommended.
COMMON = {
    "he_normal": "the usual choice for ReLU",
    "glorot_uniform": "Keras's default",
    "lecun_normal": "Flax's default",
    "torch_linear": "PyTorch's default",
}
# Where the edge of chaos is looked for. Activations without a slope at 0 have one from some sigma_b on only.
SIGMA_B = (0.0, 0.2, 0.5, 1.0, 3.0)
MOST_CRITICAL = 4
# How many initializers an activation may have, by how many activations there are; and how few theory may leave.
MOST = {1: 8, 2: 5, 3: 4, 4: 3}
MOST_OF_MANY, FEWEST = 2, 4


@dataclasses.dataclass(frozen=True)
class Theory:
    """What theory says of an initializer.

    Attributes:
        sigma_w, sigma_b: scales of a hidden layer's weights and biases; NaN where the data decide.
        q: the variance of pre-activations that layers tend to; NaN where it grows without end.
        chi1: the factor of squared gradients a layer at q; NaN with it.
        log_gradient: ln of the factor of squared gradients from the last hidden layer to the first, at this depth;
            infinite where variances overflow or there is no slope, NaN where theory cannot compute it.
    """

    sigma_w: float
    sigma_b: float
    q: float
    chi1: float
    log_gradient: float

    @property
    def gradient(self) -> float:
        """The first hidden layer's error signal over the last's, root mean square."""
        return math.exp(min(max(0.5 * self.log_gradient, -700), 700)) if not math.isnan(self.log_gradient) else math.nan

    @property
    def within_reach(self) -> bool:
        """Whether networks of this depth can train, as far as theory knows; also where it knows nothing."""
        return self.silent or abs(self.log_gradient) <= REACH

    @property
    def silent(self) -> bool:
        """Whether theory says nothing: its means are infinite, or the function is not defined everywhere."""
        return math.isnan(self.log_gradient)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An activation with an initializer, and what theory says of them."""

    activation: Activation
    initializer: str
    theory: Theory


def candidates(act: Activation, depth: int, width: int) -> list[Candidate]:
    """All initializers that might do, those that people know first; one of each scale and kind.

    Those that need a mean which theory cannot compute are left out. Raises UsageError where none remains.
    """
    found: dict[tuple, Candidate] = {}
    for label in _labels(act):
        try:
            key, theory = _judged(act, label, depth, width)
        except (NoFixedPoint, NoExpectation, UsageError) as error:
            reason = str(error)  # it does not exist for this activation
            continue
        found.setdefault(key, Candidate(act, label, theory))
    if not found:
        raise UsageError(f"activation = {short(called(act))}: there is no initializer for it; {reason}")
    return list(found.values())


def narrowed(all_of_one: list[Candidate], activations: int = 1) -> list[Candidate]:
    """Those that are worth a trial: within reach of theory, the closest to 1 first; the least bad where there are none.

    activations: among how many the trial is shared.
    """

    def excess(candidate: Candidate) -> float:
        theory = candidate.theory
        return 0.0 if theory.silent else max(0.0, abs(theory.log_gradient) - CLOSE)

    ranked = sorted(all_of_one, key=excess)
    fitting = [c for c in ranked if c.theory.within_reach]
    most = MOST.get(activations, MOST_OF_MANY)
    return (fitting if len(fitting) >= min(FEWEST, most) else ranked[: min(FEWEST, most)])[:most]


def _labels(act: Activation) -> Iterator[str]:
    """Initializers as they are named in campaigns."""
    yield from ("he_normal", "glorot_uniform", "torch_linear", "lecun_normal(gain='auto')")
    points = _critical_points(act)
    own = points[0].sigma_w if points and points[0].sigma_b == 0 else None
    square = _square(act)
    if own is None or (square > 0 and abs(own - 1 / math.sqrt(square)) < 1e-6):
        yield "orthogonal(gain='auto')"
    else:
        yield f"orthogonal(gain={own:.6g})"
    for point in points[:2]:
        yield f"critical(sigma_b={point.sigma_b:g})"
    yield from ("data_dependent", "lsuv")
    for point in points[2:MOST_CRITICAL]:
        yield f"critical(sigma_b={point.sigma_b:g})"


def _critical_points(act: Activation) -> list[Critical]:
    """The edge of chaos at some sigma_b, where there is one; empty where theory cannot compute it."""
    points = []
    with contextlib.suppress(NoExpectation):
        for sigma_b in _biases(act):
            with contextlib.suppress(NoFixedPoint, NoExpectation):
                points.append(critical(act, sigma_b))
    return points


def _square(act: Activation) -> float:
    """E f(z)^2, z standard normal; NaN where theory cannot compute it."""
    try:
        return variance_map(act, 1.0, 1.0)
    except NoExpectation:
        return math.nan


def _biases(act: Activation) -> Iterator[float]:
    """Values of sigma_b to look for the edge of chaos at: the usual ones, and where it begins if only beyond 0."""
    edge = edge_of_chaos(act)
    stable = edge[edge["stable"]]
    first = float(stable["sigma_b"].min()) if len(stable) else 0.0
    # Where it begins variances hardly return to their fixed point: a third more is safe.
    yield from SIGMA_B if first < 0.05 else (round(1.33 * first, 2), *(2 * s for s in SIGMA_B if s > first))


def judged(act: Activation, label: str, depth: int, width: int) -> Theory:
    """What theory says of an initializer. Raises NoFixedPoint or NoExpectation where it does not exist for it."""
    return _judged(act, label, depth, width)[1]


def _judged(act: Activation, label: str, depth: int, width: int) -> tuple[tuple, Theory]:
    """What tells kinds apart (scales to four digits, and what is beyond scaling), and what theory says."""
    choice = completed("initializer", parse(label, "initializer"))
    entry, layer = INITIALIZERS[choice.name], Layer(width, width, act)
    start = entry.start(layer, **choice.values)
    moments = entry.moments(layer, **choice.values)
    if moments is None:
        nan = math.nan
        return (entry.method,), Theory(nan, nan, 1.0, *_by_data(act, entry.method, depth))
    sigma_w = math.sqrt(width * (moments[0] ** 2 + moments[1]))
    sigma_b = math.sqrt(start.biases.moments[1]) if start.biases is not None else 0.0
    q, chi1 = _destination(act, sigma_w, sigma_b)
    theory = Theory(sigma_w, sigma_b, q, chi1, _followed(act, sigma_w, sigma_b, depth))
    return (entry.method, f"{sigma_w:.4g}", f"{sigma_b:.4g}"), theory


def _destination(act: Activation, sigma_w: float, sigma_b: float) -> tuple[float, float]:
    """q* and chi1; NaN where there are none."""
    try:
        q = fixed_point(act, sigma_w, sigma_b)
        return q, chi_at(act, q, sigma_w)
    except (NoFixedPoint, NoExpectation):
        return math.nan, math.nan


def _followed(act: Activation, sigma_w: float, sigma_b: float, depth: int) -> float:
    """The sum of ln chi over the hidden layers, for standardized inputs; NaN where the first has no finite mean."""
    q, total = sigma_w**2 + sigma_b**2, 0.0
    for layer in range(depth):
        try:
            chi = chi_at(act, q, sigma_w)
            following = variance_map(act, q, sigma_w, sigma_b)
        except (GradsimError, OverflowError):
            return math.inf if layer else math.nan  # later on, variances have left all bounds
        if not 0 < chi < math.inf:
            return -math.inf if chi == 0 else math.inf
        total += math.log(chi)
        if following > 1e30:
            return math.inf
        if abs(following - q) < 1e-9 * q:
            return total + (depth - layer - 1) * math.log(chi)
        q = following
    return total


def _by_data(act: Activation, method: str, depth: int) -> tuple[float, float]:
    """chi a layer and its sum where the data keep the variance at 1: over all units (LSUV), or of each about its own
    mean, which is then taken away. NaN where theory cannot compute it."""
    try:
        square, steep = variance_map(act, 1.0, 1.0), chi_at(act, 1.0, 1.0)
    except NoExpectation:
        return math.nan, math.nan
    if method == "data_dependent":
        square -= gaussian_mean(lambda u, z: (act(u),), 1.0, act.kinks, 1) ** 2
    if not (square > 0 and steep > 0):
        return math.nan, -math.inf
    return steep / square, depth * math.log(steep / square)
