"""The engine: contraction and training steps beside the multiply-add peak of the same run, and what else a step costs.

Tracked is the peak over what was achieved, of one thread: 1 is the peak, 1.67 is 60% of it, and less is better, as asv
has it. Multiply-adds of the contractions alone are counted.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise, product

from .entries import LOSSES, OPTIMIZERS
from .measure import least, made, read, threads

DTYPES = ("float32", "float64")
# name: (rows, columns, length of the sum, whether the left side is data that all networks share).
CONTRACTIONS = {
    "forward 64x8 over 2, data": (64, 8, 2, True),
    "forward 64x8 over 8": (64, 8, 8, False),
    "forward 64x2 over 8": (64, 2, 8, False),
    "forward 64x1 over 16": (64, 1, 16, False),
    "forward 64x16 over 16": (64, 16, 16, False),
    "forward 64x32 over 64, data": (64, 32, 64, True),
    "forward 64x32 over 32": (64, 32, 32, False),
    "forward 64x10 over 32": (64, 10, 32, False),
    "forward 128x128 over 128": (128, 128, 128, False),
    "forward 128x128 over 784, data": (128, 128, 784, True),
    "weights 8x8 over 64": (8, 8, 64, False),
    "weights 32x32 over 64": (32, 32, 64, False),
    "weights 33x7 over 64": (33, 7, 64, False),
}
# name: (widths, groups, steps at batch 64); as many steps as take about 3 ms.
SHAPES = {
    "2-8-8-2": ((2, 8, 8, 2), 2, 40),
    "16-16-1": ((16, 16, 1), 2, 20),
    "64-32-32-10": ((64, 32, 32, 10), 1, 8),
    "64-32x10-10": ((64, *[32] * 10, 10), 1, 3),
    "784-128-128-10": ((784, 128, 128, 10), 1, 1),
}
ACTIVATIONS = ("relu", "tanh", "gelu")
OF_SHAPES = ("sgd", "adam")
BATCHES = (16, 64)
SAMPLES = 128
PROBED = ("relu", "tanh", "sigmoid")
ROUNDS = 4


# --- contraction --------------------------------------------------------------------------------------


def _contractions():
    """{shared: kernel(a, b, c, rows, columns, length, times)}, b and c of lanes, a too or not."""
    from gradsim import jit
    from gradsim.engine.contraction import contract, contract_shared, null
    from gradsim.lanes import lane_count, pointer

    def compiled(function, a_lanes):
        @jit.kernel
        def kernel(a, b, c, rows, columns, length, times):
            size = lane_count(c)
            one = size if a_lanes else 1
            at_a, at_b, at_c = pointer(a, 0), pointer(b, 0), pointer(c, 0)
            for _ in range(times):
                function(
                    at_a, at_b, at_c, null(at_c), length * one, one, columns * size, size, columns * size, size, 0, 0,
                    rows, columns, length,
                )  # fmt: skip

        return kernel

    return {True: compiled(contract_shared, False), False: compiled(contract, True)}


def contraction(shape: str, dtype: str, kernels):
    """`call(repetitions)`, and the floating point operations of one."""
    import numpy as np

    from gradsim.lanes import LANES, aligned_empty

    rows, columns, length, shared = CONTRACTIONS[shape]
    lanes, rng = LANES[np.dtype(dtype)], np.random.default_rng(0)
    sizes = rows * length * (1 if shared else lanes), length * columns * lanes, rows * columns * lanes
    a, b, c = (aligned_empty(size, dtype) for size in sizes)
    for array in (a, b, c):
        array[...] = rng.standard_normal(array.size)
    call = kernels[shared]
    call(a, b, c, rows, columns, length, 1)
    return (lambda times: call(a, b, c, rows, columns, length, times)), 2 * rows * columns * length * lanes


# --- training -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Setting:
    """Networks that are trained, on numbers that mean nothing."""

    widths: tuple[int, ...]
    activation: str = "relu"
    optimizer: str = "sgd"
    batch: int = 64
    dtype: str = "float32"
    loss: str = "auto"
    groups: int = 1
    steps: int = 8

    @property
    def flops(self) -> int:
        """Of one network and step: forward, weight gradient and, but for the first layer, backward-data."""
        macs = [a * b for a, b in pairwise(self.widths)]
        return 2 * self.batch * (3 * sum(macs) - macs[0])


def trainer(setting: Setting, records: str = "none"):
    """`call(repetitions)` that trains the setting's groups from the same start, and how many networks they are.

    records: "none", "losses" at checkpoints, or "layers", the statistics of every layer too.
    """
    import numpy as np

    import gradsim as gs
    from gradsim.cohort import cohort_of
    from gradsim.lanes import LANES
    from gradsim.shard import networks_of

    rng, outputs = np.random.default_rng(0), setting.widths[-1]
    y = rng.integers(0, outputs, SAMPLES) if outputs > 1 else rng.standard_normal(SAMPLES)
    if setting.loss == "auto" and outputs > 1:
        y[:outputs] = range(outputs)
    count = setting.groups * LANES[np.dtype(setting.dtype)]
    campaign = gs.Campaign(
        dataset={"name": "arrays", "X": rng.standard_normal((SAMPLES, setting.widths[0])), "y": y},
        hidden=list(setting.widths[1:-1]), activation=setting.activation, optimizer=setting.optimizer,
        batch_size=setting.batch, steps=setting.steps, dtype=setting.dtype, loss=setting.loss, test_fraction=0,
        learning_rate=1e-3, grid={"seed": range(count)},
    )  # fmt: skip
    cohort = cohort_of(campaign, campaign.plan.cells[0])
    networks = networks_of(campaign.plan, cohort, np.arange(count))
    task = cohort.task
    if records != "layers":
        task = dataclasses.replace(task, statistics=False)
    if records == "none":
        task = dataclasses.replace(task, checkpoints=np.zeros(0, np.int64))
    begin, kept, work = networks.weights.copy(), task.records(len(networks.weights)), task.workspace()
    stop = np.zeros(1, np.int64)

    def call(times: int) -> None:
        for _ in range(times):
            networks.weights[...] = begin
            task.run(networks, kept, work, stop)

    call(1)
    return call, count


def _of_shapes() -> dict[tuple, Setting]:
    """The product of shapes, activations, optimizers and batches in float32, and all shapes in float64."""
    found = {}
    for name, (widths, groups, steps) in SHAPES.items():
        for activation, optimizer, batch in product(ACTIVATIONS, OF_SHAPES, BATCHES):
            setting = Setting(widths, activation, optimizer, batch, groups=groups, steps=max(1, steps * 64 // batch))
            found["step", name, activation, optimizer, str(batch)] = setting
        found["double", name] = Setting(widths, dtype="float64", groups=2 * groups, steps=steps)
    return found


def _of_tables() -> dict[tuple, Setting]:
    """Every optimizer where there are many weights a sample, every loss where the outputs are most of the work."""
    found = {("optimizer", o): Setting((2, 8, 8, 2), optimizer=o, batch=4, groups=2, steps=100) for o in OPTIMIZERS}
    return found | {("loss", x): Setting((2, 2, 10), loss=x, batch=64, steps=40) for x in LOSSES}


def setup_cache() -> dict[tuple, float]:
    """Contractions and training in turns, and the peak."""
    try:
        from gradsim.engine.peak import fma_peak
    except ImportError:
        return {}
    settings = _of_shapes() | _of_tables()
    calls, work = {}, {}
    kernels = made({"both": _contractions}).get("both", {})
    given = made({(s, d): lambda s=s, d=d: contraction(s, d, kernels) for s in CONTRACTIONS for d in DTYPES})
    for key, (call, flops) in given.items():
        calls["contraction", *key], work["contraction", *key] = call, flops
    for key, (call, count) in made({k: lambda s=s: trainer(s) for k, s in settings.items()}).items():
        calls[key], work[key] = call, count * settings[key].steps
    peaks = {dtype: 1e9 * fma_peak(1, dtype, 0.2) for dtype in DTYPES}
    seconds = least(calls, ROUNDS)
    peaks = {dtype: max(peak, 1e9 * fma_peak(1, dtype, 0.2)) for dtype, peak in peaks.items()}
    found = {}
    for key, taken in seconds.items():
        if key[0] == "contraction":
            found[key] = peaks[key[-1]] * taken / work[key]
        elif key[0] in ("step", "double"):
            found[key] = peaks[settings[key].dtype] * taken / (work[key] * settings[key].flops)
        else:
            found[key] = taken / work[key] * 1e9
    return found | _probes()


def _probes() -> dict[tuple, float]:
    """Seconds with losses and with layers at the default checkpoints, over those without records."""
    kinds = ("none", "losses", "layers")
    settings = {a: Setting((64, *[32] * 5, 10), a, steps=300) for a in PROBED}
    calls = made({(a, k): lambda a=a, k=k: trainer(settings[a], k)[0] for a in PROBED for k in kinds})
    seconds = least(calls, ROUNDS)
    return {
        ("probes", a, kind): seconds[a, kind] / seconds[a, "none"]
        for a, kind in product(PROBED, kinds[1:])
        if {(a, "none"), (a, kind)} <= seconds.keys()
    }


setup_cache.timeout = 600


class Contraction:
    """Peak over achieved, by shape: C[rows, columns] of so many sums."""

    params = (list(CONTRACTIONS), list(DTYPES))
    param_names = ("shape", "dtype")
    unit = "peak / achieved"

    def track_peak_over_achieved(self, found, shape: str, dtype: str) -> float:
        return read(found, "contraction", shape, dtype)


class Training:
    """Whole training steps, nothing recorded: network shape x activation x optimizer x batch, float32."""

    params = (list(SHAPES), list(ACTIVATIONS), list(OF_SHAPES), [str(b) for b in BATCHES])
    param_names = ("shape", "activation", "optimizer", "batch")
    unit = "peak / achieved"

    def track_peak_over_achieved(self, found, *key: str) -> float:
        return read(found, "step", *key)


class DoublePrecision:
    """Whole training steps in float64, relu, SGD, batch 64, beside float64's peak."""

    params = (list(SHAPES),)
    param_names = ("shape",)
    unit = "peak / achieved"

    def track_peak_over_achieved(self, found, shape: str) -> float:
        return read(found, "double", shape)


class Optimizers:
    """Nanoseconds a network and step of 2-8-8-2 at batch 4, where the update is much of the work."""

    params = (list(OPTIMIZERS),)
    param_names = ("optimizer",)
    unit = "ns"

    def track_step(self, found, name: str) -> float:
        return read(found, "optimizer", name)


class Losses:
    """Nanoseconds a network and step of 2-2-10 at batch 64, where the loss is most of the work."""

    params = (list(LOSSES),)
    param_names = ("loss",)
    unit = "ns"

    def track_step(self, found, name: str) -> float:
        return read(found, "loss", name)


class Probes:
    """Training with records over training without: full losses, and statistics of every layer too."""

    params = (list(PROBED), ["losses", "layers"])
    param_names = ("activation", "records")
    unit = "x the time without"

    def track_overhead(self, found, activation: str, records: str) -> float:
        return read(found, "probes", activation, records)


class Threads:
    """Networks of `gradsim.engine.arrays.train_arrays` on threads: GRADSIM_BENCHMARK_THREADS of them against one."""

    timeout = 300
    unit = "x the ideal time"

    def setup(self, found) -> None:
        try:
            import numpy as np

            from gradsim.engine.arrays import train_arrays
        except ImportError:
            raise NotImplementedError from None
        rng, widths, n, steps = np.random.default_rng(0), (64, 32, 32, 10), 1024, 10
        weights = [
            ((rng.standard_normal((n, a, b)) / np.sqrt(a)).astype("float32"), np.zeros((n, b), "float32"))
            for a, b in pairwise(widths)
        ]
        X = rng.standard_normal((steps, 64, widths[0])).astype("float32")
        y = rng.integers(0, widths[-1], (steps, 64))
        rates = np.full(n, 0.01)
        self.run = lambda count: train_arrays(weights, X, y, "relu", "softmax_cross_entropy", rates, threads=count)[1]
        self.run(1)

    def track_threads(self, found) -> float:
        """Time of all threads, times their number, over that of one: 1 is ideal."""
        times = [(self.run(1), self.run(threads())) for _ in range(7)]
        return threads() * min(many for _, many in times) / min(one for one, _ in times)
