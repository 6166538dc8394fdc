"""Comparisons with their uncertainty: what converged, how fast, and what stopped the rest.

DataFrames in, DataFrames out; the figures and the report draw exactly these frames. `findings` puts them
into sentences. See `intervals` for the statistics, `axes` for how the grid is read.
"""

from gradsim.analysis.axes import comparison_axes, layer_axes, rate_axis, setting_axes
from gradsim.analysis.comparisons import (
    at_best_rate,
    convergence_rate,
    fate_counts,
    learning_rate_windows,
    loss_by_learning_rate,
    loss_curves,
    outcome_counts,
)
from gradsim.analysis.intervals import bootstrap_interval, wilson_interval
from gradsim.analysis.layers import dead_units, delta_ratio, gradient_flow, layer_profile, saturation
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
    "at_best_rate",
    "axis_effects",
    "best_settings",
    "bootstrap_interval",
    "comparison_axes",
    "convergence_rate",
    "dead_units",
    "delta_ratio",
    "diagnosis_counts",
    "evidence",
    "fate_counts",
    "findings",
    "gradient_flow",
    "hopeless_settings",
    "layer_axes",
    "layer_profile",
    "learning_rate_windows",
    "loss_by_learning_rate",
    "loss_curves",
    "outcome_counts",
    "rate_axis",
    "saturation",
    "setting_axes",
    "sharpness",
    "wilson_interval",
]
