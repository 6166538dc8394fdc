"""DataFrame -> Figure: each function draws the frame that the analysis function of its name returns.

    rates = analysis.convergence_rate(results.runs, ["activation", "initializer"])
    plots.convergence_rate(rates).savefig("convergence.png", dpi=200)

`activations`, `phase_diagrams`, `unit_step` and `staircase` draw functions themselves, by name; the others of theory
(`phase_diagram`, `signal_maps`, `theory_over_measurement`) the frames of `gradsim.theory`.

Figures are matplotlib's own, without pyplot, in the project's style; `theme="dark"` for dark paper, `ax=`
where a figure has one panel.
"""

from gradsim.plots.activations import activations, staircase, unit_step
from gradsim.plots.bars import axis_effects, dead_by_axis, fates, learning_rate_windows, time_to_target
from gradsim.plots.examples import activation_histograms, example_courses
from gradsim.plots.flow import gradient_flow, update_ratios
from gradsim.plots.lines import (
    converged_by_step,
    dead_over_time,
    dead_units,
    loss_by_learning_rate,
    loss_curves,
    sharpness,
)
from gradsim.plots.maps import convergence_panels, convergence_rate, saturation
from gradsim.plots.phases import phase_diagram, phase_diagrams
from gradsim.plots.style import ROWS, rc_params
from gradsim.plots.theory import signal_maps, theory_over_measurement

__all__ = [
    "ROWS",
    "activation_histograms",
    "activations",
    "axis_effects",
    "converged_by_step",
    "convergence_panels",
    "convergence_rate",
    "dead_by_axis",
    "dead_over_time",
    "dead_units",
    "example_courses",
    "fates",
    "gradient_flow",
    "learning_rate_windows",
    "loss_by_learning_rate",
    "loss_curves",
    "phase_diagram",
    "phase_diagrams",
    "rc_params",
    "saturation",
    "sharpness",
    "signal_maps",
    "staircase",
    "theory_over_measurement",
    "time_to_target",
    "unit_step",
    "update_ratios",
]
