"""Lane vectors: types and operators, memory, elementary functions. Formulas and kernels import from here."""

from gradsim.lanes.elementary import exp, exp_expm1, expm1, log, log1p
from gradsim.lanes.error_functions import erf, erfc, erfcx, erfcx_fit
from gradsim.lanes.extended import Extended, constant, extend, rounded
from gradsim.lanes.hyperbolic import asinh, cosh, log_sigmoid, sech_squared, sigmoid, sinh, softplus, tanh
from gradsim.lanes.memory import (
    aligned_empty,
    as_lanes,
    call_address,
    group_count,
    lane_count,
    load,
    load_wide,
    pointer,
    pointers,
    spread,
    store,
    tuple_as_lanes,
    tuple_loader,
)
from gradsim.lanes.powers import cbrt, exp2, log2, power
from gradsim.lanes.trigonometric import acos, asin, atan, cos, cos_sin_turns, sin, sin_cos, tan
from gradsim.lanes.vector import (
    FLOATS,
    LANES,
    Lanes,
    bits,
    copysign,
    count_true,
    floor,
    fma,
    from_bits,
    lane,
    maximum,
    minimum,
    narrow,
    rint,
    single,
    sqrt,
    where,
    widen,
)

# These give the functions above their meaning on pairs.
from gradsim.lanes import (  # isort: skip
    extended_elementary,  # noqa: F401
    extended_error_functions,  # noqa: F401
    extended_hyperbolic,  # noqa: F401
    extended_trigonometric,  # noqa: F401
)

__all__ = [
    "FLOATS",
    "LANES",
    "Extended",
    "Lanes",
    "acos",
    "aligned_empty",
    "as_lanes",
    "asin",
    "asinh",
    "atan",
    "bits",
    "call_address",
    "cbrt",
    "constant",
    "copysign",
    "cos",
    "cos_sin_turns",
    "cosh",
    "count_true",
    "erf",
    "erfc",
    "erfcx",
    "erfcx_fit",
    "exp",
    "exp2",
    "exp_expm1",
    "expm1",
    "extend",
    "floor",
    "fma",
    "from_bits",
    "group_count",
    "lane",
    "lane_count",
    "load",
    "load_wide",
    "log",
    "log1p",
    "log2",
    "log_sigmoid",
    "maximum",
    "minimum",
    "narrow",
    "pointer",
    "pointers",
    "power",
    "rint",
    "rounded",
    "sech_squared",
    "sigmoid",
    "sin",
    "sin_cos",
    "single",
    "sinh",
    "softplus",
    "spread",
    "sqrt",
    "store",
    "tan",
    "tanh",
    "tuple_as_lanes",
    "tuple_loader",
    "where",
    "widen",
]
