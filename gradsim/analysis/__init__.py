"""Comparisons with their uncertainty: what converged, how fast, and what stopped the rest.

DataFrames in, DataFrames out; the figures and the report draw exactly these frames. `findings` puts them
into sentences. See `intervals` for the statistics, `axes` for how the grid is read.
"""

from gradsim.analysis.axes import comparison_axes, layer_axes, rate_axis, setting_axes
from gradsim.analysis.comparisons import (
    at_best_rate,
    converged_by_step,
    convergence_rate,
    fate_counts,
    learning_rate_windows,
    loss_by_learning_rate,
    loss_curves,
    outcome_counts,
    time_to_target,
)
from gradsim.analysis.examples import activation_histograms, example_courses, moments, telling_runs, telling_statistic
from gradsim.analysis.intervals import bootstrap_interval, wilson_interval
from gradsim.analysis.layers import (
    dead_by_axis,
    dead_over_time,
    dead_units,
    delta_ratio,
    gradient_flow,
    layer_profile,
    saturation,
    update_ratios,
)
from gradsim.analysis.settings import (
    axis_effects,
    best_settings,
    diagnosis_counts,
    evidence,
    hopeless_settings,
)
from gradsim.analysis.sharpness import sharpness
from gradsim.analysis.verdict import findings

__all__ = [
    "activation_histograms",
    "at_best_rate",
    "axis_effects",
    "best_settings",
    "bootstrap_interval",
    "comparison_axes",
    "converged_by_step",
    "convergence_rate",
    "dead_by_axis",
    "dead_over_time",
    "dead_units",
    "delta_ratio",
    "diagnosis_counts",
    "evidence",
    "example_courses",
    "fate_counts",
    "findings",
    "gradient_flow",
    "hopeless_settings",
    "layer_axes",
    "layer_profile",
    "learning_rate_windows",
    "loss_by_learning_rate",
    "loss_curves",
    "moments",
    "outcome_counts",
    "rate_axis",
    "saturation",
    "setting_axes",
    "sharpness",
    "telling_runs",
    "telling_statistic",
    "time_to_target",
    "update_ratios",
    "wilson_interval",
]
