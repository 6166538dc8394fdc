"""Names of runs: 16 hexadecimal digits from a run's resolved settings and the campaign seed alone.

What is hashed is the text of the run's cell with that of its lane axes put in; every text is made once, not once a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from gradsim.cohort import layer_rates
from gradsim.fields import RunFields
from gradsim.resolve import SWITCHES, ZERO, identity, rate_text, rates_text, switched_off, value_text

if TYPE_CHECKING:
    from gradsim.plan import Plan

Texts = Mapping[str, np.ndarray]  # of lane axes, by name: texts by run


def run_ids(plan: Plan, positions: np.ndarray) -> np.ndarray:
    """str [n]: the names of the runs at some positions."""
    codes = plan.codes(positions)
    cells, texts = plan.cell_numbers(codes), _lane_texts(plan, codes)
    switches = [np.isin(texts[name], ZERO) for name in SWITCHES if name in texts]
    kinds, which = np.unique(np.stack([cells, *switches], axis=1), axis=0, return_inverse=True)
    out = np.empty(len(positions), "U16")
    for k in range(len(kinds)):
        rows = np.flatnonzero(which.reshape(-1) == k)
        mine = {name: column[rows] for name, column in texts.items()}
        settings = plan.cells[kinds[k, 0]]
        out[rows] = [
            hashlib.blake2b("".join(pieces).encode(), digest_size=8).hexdigest()
            for pieces in zip(*_columns(plan.campaign.campaign_seed, settings, mine, len(rows)), strict=False)
        ]
    return out


def _lane_texts(plan: Plan, codes: np.ndarray) -> Texts:
    """What the lane axes say of each run."""
    found = {}
    for i in plan.lane_axes:
        used, which = np.unique(codes[:, i], return_inverse=True)
        for name, values in zip(plan.axes[i].names, plan.axes[i].values, strict=True):
            write = rate_text if name == "learning_rate" else value_text
            found[name] = np.array([write(values[code]) for code in used.tolist()], object)[which.reshape(-1)]
    return found


def _columns(campaign_seed: int, settings: RunFields, texts: Texts, n: int) -> Iterator[Iterable[str]]:
    """What the n runs' texts are joined of, a column at a time; which settings are switched off is the same in all."""
    varied = {name: column for name, column in texts.items() if not name.startswith("learning_rate")}
    if len(varied) < len(texts):
        varied["learning_rate"] = _rates(settings, texts, n)
    parts = identity(settings) | {name: column[0] for name, column in varied.items()}
    constant = f"campaign_seed={campaign_seed}"
    for name in sorted(parts.keys() - switched_off(parts)):
        constant += f";{name}="
        if name in varied:
            yield repeat(constant, n)
            yield varied[name]
            constant = ""
        else:
            constant += parts[name]
    yield repeat(constant, n)


def _rates(settings: RunFields, texts: Texts, n: int) -> list[str]:
    """Learning rates; one for all layers comes before those of single layers."""
    own = layer_rates(settings)
    everywhere = texts.get("learning_rate")
    columns = [
        texts.get(f"learning_rate.{k}", repeat(rate_text((rate,)), n) if everywhere is None else everywhere)
        for k, rate in enumerate(own)
    ]
    return [rates_text(rates) for rates in zip(*columns, strict=True)]
