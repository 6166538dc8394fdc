"""Processors of narrower registers than this one's, forced by Numba's settings, train the same networks alike.

`NUMBA_CPU_NAME` alone would leave this processor's features on: it takes empty `NUMBA_CPU_FEATURES` as well.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import numpy as np
import pytest
from campaign_help import ROOT, SMALL, small
from llvmlite import binding
from test_jit_cache import environment

import gradsim as gs

# Every tile shape has a place in 8 and 7 units: panels of 4, 3, 2 and 1 columns.
FIELDS = {"hidden": [8, 7], "activation": "tanh", "initializer": "glorot_uniform", "grid": {"seed": list(range(19))}}
BASE = {key: value for key, value in SMALL.items() if key not in ("depth", "width")}
INPUTS = np.concatenate([np.linspace(-20, 20, 2001), np.geomspace(1e-30, 1, 500)])
CHILD = r"""
import json, re, sys
import numpy as np
import gradsim as gs
from gradsim.engine.loop import train_groups
from gradsim.jit import vector_registers
from gradsim.lanes import LANES

folder, fields = sys.argv[1], json.loads(sys.argv[2])
gs.Campaign(**fields).run(f"{folder}/campaign", progress=False)
inputs = np.load(f"{folder}/inputs.npy")
np.save(f"{folder}/tanh.npy", gs.activations.get("tanh").value_and_derivative(inputs))
assembly = "".join(train_groups.inspect_asm().values())
panels = re.findall(r"^panel_.*?:$.*?^\.Lfunc_end", assembly, re.DOTALL | re.MULTILINE)
spills = sum(len(re.findall(r"mm\d+, -?\d*\(%rsp\)", panel)) for panel in panels)
used = [name for name in ("zmm", "ymm", "xmm", "vfmadd") if name in assembly]
marks = [s.mark for s in gs.Campaign(**fields | {"grid": {"seed": range(100_000)}}).plan.shards]
print(json.dumps([vector_registers(), list(LANES.values()), used, len(panels), spills, marks]))
"""


@pytest.mark.parametrize(
    ("processor", "dtype", "needs", "registers", "used"),
    [
        ("haswell", "float32", ("avx2", "fma", "bmi2"), [32, 16, True], ["ymm", "xmm", "vfmadd"]),
        ("nehalem", "float64", ("sse4.2",), [16, 16, False], ["xmm"]),
    ],
)
def test_a_narrower_processor_trains_alike(processor, dtype, needs, registers, used, tmp_path):
    features = binding.get_host_cpu_features() if platform.machine() in ("x86_64", "AMD64") else {}
    if not all(features.get(name) for name in needs):
        pytest.skip(f"this processor cannot run what is compiled for {processor}")
    campaign = small(**FIELDS, dtype=dtype)
    np.save(tmp_path / "inputs.npy", INPUTS.astype(dtype))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), json.dumps(BASE | FIELDS | {"dtype": dtype})],
        cwd=ROOT,
        env=environment(tmp_path / "cache", NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES=""),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    *told, panels, spills, marks = json.loads(child.stdout)
    assert told == [registers, [8, 8], used]
    # Tiles stay in registers over their sums.
    assert panels > 10
    assert spills == 0
    # A directory can be resumed on any machine.
    many = small(**FIELDS | {"grid": {"seed": range(100_000)}}, dtype=dtype)
    assert marks == [s.mark for s in many.plan.shards]
    assert len(set(marks)) > 1

    here = campaign.run(tmp_path / "here", progress=False).runs.set_index("run_id")
    there = gs.Results(tmp_path / "campaign").runs.set_index("run_id").loc[here.index]
    # With fused multiply-adds the numbers are the same to the last bit.
    tolerance = 0 if registers[2] else 1e-12
    for column in ("initial_loss", "final_loss", "test_loss"):
        np.testing.assert_allclose(there[column], here[column], rtol=tolerance)
    assert here["final_loss"].nunique() == len(here)
    own = gs.activations.get("tanh").value_and_derivative(INPUTS.astype(dtype))
    np.testing.assert_allclose(np.load(tmp_path / "tanh.npy"), own, rtol=4 * np.finfo(dtype).eps, atol=0)
