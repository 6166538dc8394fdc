"""What tests of recommendations share: a recommendation that took no trial, to render and to write code of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradsim.advice.candidates import judged
from gradsim.advice.choice import Group, Measured, measured
from gradsim.advice.question import read_question
from gradsim.advice.result import Recommendation
from gradsim.advice.trial import Setting

TARGET = 0.1


def runs_of(converged: int, n: int, best: float = 1.0, setting: int = 0, **columns: object) -> pd.DataFrame:
    """Rows as a trial gives them: so many of n networks converged, the others are `slow`, at a loss of `best`."""
    done = np.arange(n) < converged
    frame = pd.DataFrame(
        {
            "setting": setting,
            "seed": np.arange(n),
            "outcome": np.where(done, "converged", "learning"),
            "diagnosis": np.where(done, "", "slow"),
            "diagnosis_layer": -1,
            "diagnosis_value": np.where(done, np.nan, 0.25),
            "target_loss": TARGET,
            "final_loss": np.where(done, 0.05, best),
            "best_loss": np.where(done, 0.05, best),
            "steps_to_target": np.where(done, 50.0, np.nan),
            "test_accuracy": np.where(done, 0.9, 0.3),
        }
    )
    return frame.assign(**columns)


def group_of(shares: dict[float, int], n: int = 6, initializer: str = "he_normal", optimizer: str = "sgd") -> Group:
    """A group with so many of n networks converged at each learning rate."""
    from gradsim.theory.subject import subject

    settings = [Setting(subject("relu"), initializer, optimizer, rate) for rate in shares]
    runs = [runs_of(k, n, setting=i) for i, k in enumerate(shares.values())]
    return Group(tuple(measured(settings, pd.concat(runs, ignore_index=True))))


def recommendation(
    activation: str = "relu",
    initializer: str = "he_normal",
    optimizer: str = "adam",
    data: object = "iris",
    converged: int = 8,
) -> Recommendation:
    """As `gradsim.recommend` would give it for two hidden layers of 12."""
    question = read_question(activation, data, 2, 12, 60, 8, 20)
    (act,) = question.activations
    setting = Setting(act, initializer, optimizer, {"adam": 0.01, "momentum": 0.01, "sgd": 0.1}[optimizer])
    (verified,) = measured([setting], runs_of(converged, 8))
    return Recommendation(
        question=question,
        setting=setting,
        theory=judged(act, initializer, 2, 12),
        verified=verified,
        group=Group((verified,)),
        raced=(Group((verified,)),),
        works=(),
        avoid=(),
        candidates=(4, 6),
        networks=100,
        seconds=1.0,
    )


__all__ = ["TARGET", "Measured", "group_of", "recommendation", "runs_of"]
