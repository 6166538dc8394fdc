"""`load` and `prepare`: from the name of a set to raw numbers, and on to the arrays that are trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gradsim.datasets.checks import bounded
from gradsim.datasets.registry import DATASETS, check_parameters
from gradsim.datasets.spec import Dataset, RawData, fingerprint
from gradsim.datasets.split import fit_scaling, split_indices, with_label_noise
from gradsim.errors import UsageError, did_you_mean, short

SCALINGS = ("standard", "minmax", "maxabs", "none")


def load(name: str, params: Mapping[str, object] | None = None, data_seed: int = 0) -> RawData:
    """The raw data of the set `name`; `params` as `DATASETS[name].parameters` lists them.

    `data_seed` (0 to 2**64 - 1) draws the synthetic sets and leaves the others alone. Raises UsageError for
    an unknown name, an unknown or unfit parameter, and data that cannot be trained on.
    """
    parameters = check_parameters(name, params)
    seed = bounded("data_seed", data_seed, int, 0, 2**64 - 1)
    return DATASETS[name].load(seed, **parameters)


def prepare(
    name: str,
    params: Mapping[str, object] | None = None,
    *,
    scaling: str = "standard",
    test_fraction: float = 0.2,
    label_noise: float = 0.0,
    data_seed: int = 0,
) -> Dataset:
    """The set `name`, split into training and test rows by `data_seed` and scaled; the same on every call.

    Scaling is fitted on the training rows alone: "standard" gives x -> (x - mean) / std with the population
    standard deviation, "minmax" x -> (x - min) / (max - min), "maxabs" x -> x / max abs(x), "none" leaves x.
    A feature that is constant in training is divided by 1, under "maxabs" only where it is 0. Regression
    targets are standardized, y -> (y - mean) / std over the training rows, under all but "none", which keeps
    their units; R2 is the same in either. Splitting: see `split_indices`. `label_noise` is the fraction of
    training labels that are replaced by another class, see `with_label_noise`; test labels are left alone.
    Raises UsageError as `load` does, and for an unknown scaling, a test fraction outside [0, 1), and label
    noise outside [0, 1] or on data without classes.
    """
    if scaling not in SCALINGS:
        raise UsageError(f"scaling = {short(scaling)}{did_you_mean(scaling, SCALINGS)}")
    fraction = bounded("test_fraction", test_fraction, float, 0, math.nextafter(1, 0))
    noise = bounded("label_noise", label_noise, float, 0, 1)
    raw = load(name, params, data_seed)
    check_label_noise(noise, name, raw.task)
    labels = raw.y if raw.task == "classification" else None
    train, test = split_indices(len(raw.X), labels, fraction, data_seed)
    X_train, X_test, y_train, y_test = raw.X[train], raw.X[test], raw.y[train], raw.y[test]
    if noise > 0:
        y_train = with_label_noise(y_train, len(raw.class_names), noise, data_seed)
    if scaling != "none":
        center, scale = fit_scaling(X_train, scaling)
        X_train, X_test = (X_train - center) / scale, (X_test - center) / scale
        if raw.task == "regression":
            center, scale = fit_scaling(y_train, "standard")
            y_train, y_test = (y_train - center) / scale, (y_test - center) / scale
    return Dataset(
        name=name,
        task=raw.task,
        X_train=np.ascontiguousarray(X_train),
        y_train=np.ascontiguousarray(y_train),
        X_test=np.ascontiguousarray(X_test),
        y_test=np.ascontiguousarray(y_test),
        feature_names=raw.feature_names,
        class_names=raw.class_names,
        description=raw.description,
        real=DATASETS[name].real,
        scaling=scaling,
        fingerprint=fingerprint(raw),
    )


def check_label_noise(label_noise: float, name: str, task: str) -> None:
    """Refuse label noise on data that have no classes; task: "auto" where that is not yet known."""
    if label_noise > 0 and task == "regression":
        raise UsageError(f"label_noise = {label_noise:g}: {name} is regression and has no labels; allowed: 0")
