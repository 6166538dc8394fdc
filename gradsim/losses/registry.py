"""The table of losses."""

from __future__ import annotations

from gradsim.losses import blocks, constant
from gradsim.losses.spec import Loss
from gradsim.parameters import Parameter

_BOTH = ("regression", "classification")
_ENTROPY = r"-\sum_c q_c \log \frac{e^{o_c}}{\sum_k e^{o_k}},\; q_c = (1 - \epsilon) [c = y] + \epsilon/C"
_HUBER = r"\frac{1}{C} \sum_c \begin{cases} e_c^2/2 & |e_c| \le \delta \\ \delta (|e_c| - \delta/2) \end{cases}"
_MARGIN = {"margin": Parameter(1.0, 1e-6, 1e6)}

LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "softmax_cross_entropy",
            _ENTROPY,
            ("classification",),
            blocks.softmax_cross_entropy,
            constant.smoothed_entropy,
            {"label_smoothing": Parameter(0.0, 0.0, 1.0)},
            constant.least_smoothed,
            on_targets=False,
            squares=False,
            aliases=("cross_entropy",),
            reference="Bridle 1990; smoothing: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2016",
        ),
        Loss(
            "mean_squared_error",
            r"\frac{1}{C} \sum_c (o_c - y_c)^2",
            _BOTH,
            blocks.on_targets(blocks.squared),
            constant.variance,
            aliases=("mse",),
        ),
        Loss(
            "half_squared_error",
            r"\frac{1}{2C} \sum_c (o_c - y_c)^2",
            _BOTH,
            blocks.on_targets(blocks.half_squared),
            constant.half_variance,
            aliases=("half_mse",),
        ),
        Loss(
            "absolute_error",
            r"\frac{1}{C} \sum_c |o_c - y_c|",
            _BOTH,
            blocks.on_targets(blocks.absolute),
            constant.absolute_deviation,
            aliases=("mean_absolute_error", "mae", "l1"),
        ),
        Loss(
            "huber",
            _HUBER,
            _BOTH,
            blocks.on_targets(blocks.huber),
            constant.huber,
            {"delta": Parameter(1.0, 1e-6, 1e6)},
            reference="Huber 1964",
        ),
        Loss(
            "logistic",
            r"\frac{1}{C} \sum_c \left(\log(1 + e^{o_c}) - y_c o_c\right)",
            _BOTH,
            blocks.on_targets(blocks.logistic),
            constant.log_odds,
            least=constant.least_log_odds,
            target_range=(0.0, 1.0),
            squares=False,
            aliases=("binary_cross_entropy", "bce"),
            reference="Cox 1958",
        ),
        Loss(
            "hinge",
            r"\frac{1}{C} \sum_{c \ne y} \max(0, m - o_y + o_c)",
            ("classification",),
            blocks.hinge,
            constant.hinge,
            _MARGIN,
            on_targets=False,
            squares=False,
            aliases=("multi_margin", "weston_watkins"),
            reference="Weston & Watkins 1999; PyTorch's MultiMarginLoss",
        ),
        Loss(
            "crammer_singer",
            r"\max(0, m - o_y + \max_{c \ne y} o_c)",
            ("classification",),
            blocks.crammer_singer,
            constant.crammer_singer,
            _MARGIN,
            on_targets=False,
            squares=False,
            aliases=("crammer_singer_hinge",),
            reference="Crammer & Singer 2001",
        ),
    )
}
