"""Why networks did not converge, and what theory expects, in a sentence each."""

from __future__ import annotations

import math

from gradsim.advice.candidates import CLOSE, Theory
from gradsim.advice.choice import Group, Measured
from gradsim.advice.result import Finding
from gradsim.analysis import words

number, percent = words.number, words.percent
# A learning rate is nothing to avoid where so many networks converge, though it does not count as working.
MOSTLY = 0.8


def why(found: Measured) -> str:
    """The most frequent diagnosis of what did not converge, with the number that shows it."""
    value = found.value
    known = not math.isnan(value)
    text = {
        "vanishing": f"the first layer's error signal is {number(value)} of the last's",
        "exploding": f"the error signal grows {number(value)}-fold towards the first layer"
        if known
        else "the loss is not finite",
        "saturated": f"{percent(min(value, 1.0)) if known else 'most'} of layer {found.layer} is saturated",
        "dead": f"no sample moves any unit of layer {found.layer}",
        "symmetric": f"all units of layer {found.layer} are the same",
        "slow": f"still falling at the end, by {percent(value) if known else 'some'} in the last third",
    }.get(found.diagnosis, f"the loss stops at {number(found.loss)}, the target is {number(found.target)}")
    name = {"unexplained": "stalled"}.get(found.diagnosis, found.diagnosis)
    failed = found.n - found.converged
    share = "" if found.diagnosed == failed else f" ({found.diagnosed} of {failed})"
    return f"{name}{share}: {text}"


def expectation(theory: Theory, depth: int) -> str:
    """What theory says of an initializer."""
    if theory.silent:
        return "says nothing; its means are infinite, or the function is not defined everywhere"
    layers = words.plural(depth, "layer")
    if theory.log_gradient == -math.inf:
        return "no slope, no gradient"
    if not math.isfinite(theory.log_gradient):
        return "variances grow without bounds"
    chi = "" if math.isnan(theory.chi1) else f"chi1 = {_three(theory.chi1)}, "
    if abs(theory.log_gradient) <= CLOSE:
        return f"{chi}gradients keep their size over {layers}"
    size = theory.gradient
    if size < 1:
        return f"{chi}gradients shrink to {number(size)} over {layers}"
    return f"{chi}gradients grow {number(size)}-fold over {layers}"


def _three(x: float) -> str:
    """1.00, 0.0557: that it is 1, or tends to 0, should be seen."""
    if x < 1e-9:
        return "0"
    return f"{x:.2f}" if 0.1 <= x < 10 else number(x)


def rates_to_avoid(group: Group) -> tuple[Finding, ...]:
    """The learning rates nearest to the window on either side that were tried and failed; not those at which most
    networks converge."""
    window = group.window
    if not window:
        return ()
    first, last = group.by_rate.index(window[0]), group.by_rate.index(window[-1])
    found = []
    for side, rates in (("up", group.by_rate[last + 1 :]), ("down", group.by_rate[:first][::-1])):
        m = next((m for m in rates if m.rate < MOSTLY), None)
        if m is not None:
            what = f"learning rates from {m.setting.learning_rate:g} {side}"
            found.append(Finding(what, why(m), m.converged, m.n))
    return tuple(found)
