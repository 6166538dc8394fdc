"""The catalogue: one module a family of formulas. Importing one enters its functions in the table."""

from gradsim.activations.families import (  # noqa: F401  isort: skip
    # The founding texts' and the libraries', as they are met first.
    rectified,
    sigmoidal,
    smooth,
    exponentials,
    shrinkage,
    periodic,
    radial,
    adaptive,
    stochastic,
    simplex,
    gated_units,
    # The published field.
    silu_relatives,
    logistic_gates,
    tanh_gates,
    distribution_gates,
    squashing,
    inverse_links,
    algebraic,
    growing,
    piecewise,
    rectified_learned,
    quadratic,
    rational,
    elu_like,
    adaptive_squashing,
    adaptive_gates,
    waves,
    bumps,
)
