"""scikit-learn: one `MLPClassifier` or `MLPRegressor` a network, over one joblib process a core.

A `partial_fit` of the whole stream, unshuffled, with the task's batch size, is the task's steps one by one. It trains
a share of the networks, for every network costs the same; speeds are those of its share.
"""

from __future__ import annotations

import math
import time

import numpy as np

from . import CannotTakePart, Setup, Weights
from .machine import cores
from .tasks import BETA1, BETA2, EPS, MEAN_SQUARED_ERROR, Problem, Task, one_hot

ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic", "identity": "identity"}
STEPS = 2_000  # of all networks together in one repeat


def share(task: Task) -> int:
    """How many networks it trains: as many for every process."""
    return min(task.networks, cores() * max(1, STEPS // task.steps // cores()))


def train_networks(task: Task, problem: Problem) -> tuple[list[Weights], float]:
    """All networks of `problem` trained one after the other, and the CPU seconds; runs in a process of joblib's."""
    before = time.process_time()
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from threadpoolctl import threadpool_limits

    regression = task.loss == MEAN_SQUARED_ERROR

    class Given(MLPRegressor if regression else MLPClassifier):
        """Starts from given weights; two classes have two softmax outputs like any other number."""

        def _init_coef(self, fan_in, fan_out, dtype):
            return next(self.start)

        def _initialize(self, y, layer_units, dtype):
            super()._initialize(y, layer_units, dtype)
            self.out_activation_ = "identity" if regression else "softmax"

    X = problem.X.reshape(-1, task.widths[0])
    y = problem.y.reshape(len(X), -1) if regression else one_hot(problem.y.ravel(), task.widths[-1]).astype(int)
    y = y.ravel() if regression and y.shape[1] == 1 else y
    # Its squared loss is half of the mean squared error; Adam does not see the factor.
    factor = 2.0 if regression and task.optimizer == "sgd" else 1.0
    # It adds epsilon before the root is corrected for bias: here by what the correction is halfway.
    epsilon = EPS * math.sqrt(1 - BETA2 ** (task.steps / 2))
    trained = []
    with threadpool_limits(1, "blas"):
        for i, rate in enumerate(problem.learning_rate):
            model = Given(
                hidden_layer_sizes=task.widths[1:-1],
                activation=ACTIVATIONS[task.activation],
                solver=task.optimizer,
                alpha=0.0,
                batch_size=task.batch,
                learning_rate_init=factor * float(rate),
                momentum=0.0,
                nesterovs_momentum=False,
                shuffle=False,
                beta_1=BETA1,
                beta_2=BETA2,
                epsilon=epsilon,
            )
            model.start = iter([(W[i].copy(), b[i].copy()) for W, b in problem.weights])
            model.partial_fit(X, y) if regression else model.partial_fit(X, y, classes=np.arange(task.widths[-1]))
            trained.append(list(zip(model.coefs_, model.intercepts_, strict=True)))
    return trained, time.process_time() - before


class SklearnJoblib:
    """The share of a task, split over processes that stay alive."""

    def __init__(self, task: Task, problem: Problem) -> None:
        import sklearn  # noqa: F401  fails here, by name, where scikit-learn is not installed

        if task.activation not in ACTIVATIONS:
            raise CannotTakePart(f"scikit-learn has no {task.activation}")
        self.task, self.problem = task, problem

    def prepare(self) -> Setup:
        self.train()
        return Setup(f"partial_fit, {cores()} processes, {self.task.networks} networks")

    def train(self) -> float:
        from joblib import Parallel, delayed

        parts = [
            Problem([(W[i :: cores()], b[i :: cores()]) for W, b in self.problem.weights], self.problem.X,
                    self.problem.y, self.problem.learning_rate[i :: cores()])
            for i in range(cores())
        ]  # fmt: skip
        start = time.perf_counter()
        done = Parallel(cores())(delayed(train_networks)(self.task, part) for part in parts)
        seconds = time.perf_counter() - start
        self.trained, spent = zip(*done, strict=True)
        self.helper_seconds = sum(spent)
        return seconds

    def once(self) -> float:
        return self.train()

    def network(self, index: int) -> Weights:
        return self.trained[index % cores()][index // cores()]


def build(task: Task, problem: Problem) -> SklearnJoblib:
    return SklearnJoblib(task, problem)


def versions() -> dict[str, str]:
    import joblib
    import sklearn

    return {"scikit-learn": sklearn.__version__, "joblib": joblib.__version__}
