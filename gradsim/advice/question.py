"""What is asked for: activations, shape of the network, data, and how much to try; read from what a user wrote."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gradsim.activations import Activation, from_formula
from gradsim.activations.symbolic import KEYS
from gradsim.advice.shapes import SHAPE, made_up
from gradsim.analysis.words import plural
from gradsim.campaign import Campaign
from gradsim.cohort import dataset_of
from gradsim.datasets import DATASETS, Dataset
from gradsim.errors import UsageError, did_you_mean, short
from gradsim.fields import MAX_LAYERS, MAX_STEPS, MAX_WIDTH, OWN_DATA, is_data_file, read_value
from gradsim.theory.subject import subject

ANY = "any"
# What "any" stands for: those that people choose between, and that frameworks have.
USUAL = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh")
BATCH_SIZE, FEWEST_SEEDS, MOST_SEEDS, FEWEST_STEPS = 64, 8, 4096, 10
MOST_ACTIVATIONS = 20


@dataclasses.dataclass(frozen=True)
class Question:
    """For which networks settings are asked.

    Attributes:
        activations: to choose from.
        dataset: as a Campaign takes it.
        data: the data, split and scaled.
        note: what stands in for data that were not given; empty where they were.
        depth, width: hidden layers, and units of each.
        batch_size, steps: of training; a network counts as converged only within these steps.
        seeds: fresh ones that the recommended setting is verified with.
        any: whether "any" activation was asked for.
    """

    activations: tuple[Activation, ...]
    dataset: object
    data: Dataset
    note: str
    depth: int
    width: int
    batch_size: int
    steps: int
    seeds: int
    any: bool

    @property
    def fields(self) -> dict[str, object]:
        """What every campaign of the trial shares."""
        shared = {name: getattr(self, name) for name in ("dataset", "depth", "width", "batch_size", "steps")}
        return {"name": "recommend"} | shared

    @property
    def network(self) -> str:
        """ "5 hidden layers of 32"."""
        return f"{plural(self.depth, 'hidden layer')} of {self.width}"

    @property
    def data_name(self) -> str:
        """What the data are called in a sentence."""
        if self.note:
            return "a synthetic task"
        name = self.data.name
        if name == "file":
            return Path(str(read_value("dataset", self.dataset, "data").values["path"])).name
        return "your arrays" if name == "arrays" else name


def read_question(
    activation: object,
    data: object,
    depth: object,
    width: object,
    steps: object,
    seeds: object,
    batch_size: object = None,
) -> Question:
    """The question behind the arguments of `gradsim.recommend`. Raises UsageError."""
    # Without hidden layers a network has no activation; width and the rest have the bounds of a campaign.
    depth, width = _whole("depth", depth, 1, MAX_LAYERS), _whole("width", width, 1, MAX_WIDTH)
    steps = _whole("steps", steps, FEWEST_STEPS, MAX_STEPS)
    seeds = _whole("seeds", seeds, FEWEST_SEEDS, MOST_SEEDS)
    activations, anything = _activations(activation)
    dataset, note = _data(data)
    campaign = Campaign(name="recommend", dataset=dataset, depth=depth, width=width, batch_size=1)
    prepared = dataset_of(campaign.plan.cells[0])
    if batch_size is None:
        batch_size = min(BATCH_SIZE, prepared.train_samples)
    batch_size = read_value("batch_size", batch_size, "batch_size")
    Campaign(name="recommend", dataset=dataset, depth=depth, width=width, batch_size=batch_size).plan.check_data()
    return Question(activations, dataset, prepared, note, depth, width, batch_size, steps, seeds, anything)


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise UsageError(f"{name} = {short(value)}: must be a whole number; allowed: {least} to {most}")
    return int(value)


def _activations(given: object) -> tuple[tuple[Activation, ...], bool]:
    """The activations meant, and whether they are any."""
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not listed:
        raise UsageError(f'activation: the list is empty; give names, formulas or "{ANY}"')
    if any(isinstance(one, str) and one.strip() == ANY for one in listed):
        if len(listed) > 1:
            raise UsageError(f'activation = {short(listed)}: "{ANY}" stands alone')
        return tuple(subject(name) for name in USUAL), True
    if len(listed) > MOST_ACTIVATIONS:
        raise UsageError(f"activation: {len(listed)} are listed; at most {MOST_ACTIVATIONS} are allowed")
    found = [_activation(one) for one in listed]
    return tuple({act.label: act for act in found}.values()), False


def _activation(given: object) -> Activation:
    if isinstance(given, Mapping) and "formula" in given:
        for key in given:
            if key not in KEYS:
                raise UsageError(f"activation: unknown key {short(key)}{did_you_mean(str(key)[:100], KEYS)}")
        return from_formula(given["formula"], **{k: v for k, v in given.items() if k != "formula"})
    return subject(given)


def _data(given: object) -> tuple[object, str]:
    """Data as a Campaign takes them, and what to say where they are made up."""
    if isinstance(given, Mapping) and "name" not in given:
        return made_up(given)
    if isinstance(given, str) and not is_data_file(given) and "(" not in given:
        names = [name for name in DATASETS if name not in OWN_DATA]
        if given.strip() not in names:
            raise UsageError(
                f"data = {short(given)}: must be a data set, a .csv, .parquet or .npz file, or a shape "
                f"({', '.join(SHAPE)}){did_you_mean(given[:100], names)}"
            )
    return given, ""
