"""Activations on their way to another process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gradsim import activations
from gradsim.activations import Activation

MADE = {"text": "z*sigmoid(b*z)", "name": "pickled_swish", "parameters": {"b": 1.5}, "reference": "here"}


def known():
    return [activations.get("relu"), activations.get("softmax"), activations.from_formula(**MADE)]


def test_an_entry_comes_back_as_itself():
    for act in known():
        assert pickle.loads(pickle.dumps(act)) is act
        assert copy.deepcopy(act) is act


@pytest.mark.parametrize(("name", "values"), [("leaky_relu", {"slope": 0.3}), ("maxout", {"k": 3})])
def test_parameter_values_travel(name, values):
    again = pickle.loads(pickle.dumps(activations.get(name, **values)))
    assert again.label == activations.get(name, **values).label
    assert again.values == activations.get(name, **values).values


def test_a_formula_is_made_again_in_another_process():
    act = activations.from_formula(**MADE).with_values(b=0.5)
    code = (
        "import pickle, sys; act = pickle.loads(sys.stdin.buffer.read()); "
        "print(act.label, act.reference, repr(float(act(0.7))))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(act), capture_output=True, check=True)
    assert done.stdout.decode().split() == ["pickled_swish(b=0.5)", "here", repr(float(act(0.7)))]


def test_what_is_not_in_the_table_says_so():
    own = Activation("relu", np.sin)
    with pytest.raises(pickle.PicklingError, match="'relu' is not in the table"):
        pickle.dumps(own)
