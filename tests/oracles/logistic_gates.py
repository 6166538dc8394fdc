"""z, or something near z, times the logistic function: the relatives of SiLU, each as its paper has it."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def e_swish(z, beta=1.5):
    return beta * z * d.sigmoid(z)


@oracle
def flatten_t_swish(z, T=-0.2):
    return z * d.sigmoid(z) + T if z > 0 else T


@oracle
def oaf(z):
    return (z if z > 0 else 0) + z * d.sigmoid(z)


@oracle
def ts_swish(z, a=20.0, b=40.0):
    return z * d.sigmoid(z) * (d.sigmoid(z) + d.sigmoid(z - a) + d.sigmoid(z - b))


@oracle
def generalized_swish(z):
    return z * d.sigmoid(d.exp(-z))


@oracle
def exponential_swish(z):
    return d.sigmoid(-z)  # e^-z sigmoid(z)


@oracle
def dsilu(z):
    return d.sigmoid(z) * (1 + z * d.sigmoid(-z))


@oracle
def double_silu(z):
    return z * d.sigmoid(z * d.sigmoid(z))


@oracle
def msilu(z):
    return z * d.sigmoid(z) + d.exp(-(z * z) - 1) / 4


@oracle
def tsilu(z):
    return d.tanh(z * d.sigmoid(z))


@oracle
def asilu(z):
    return d.atan(z * d.sigmoid(z))


@oracle
def swat(z):
    return z * d.sigmoid(d.atan(z))


@oracle
def eanaf(z):
    return z / (1 + 2 * d.exp(-z))


@oracle
def sinsig(z):
    return z * d.sin(d.sigmoid(z) * d.pi / 2)


@oracle
def logish(z):
    return z * d.log1p(d.sigmoid(z))


@oracle
def parametric_logish(z, a=1.0, b=10.0):
    return a * z * d.log1p(d.sigmoid(b * z))


@oracle
def logmoid(z, a=1.0, b=1.0):
    return z * d.log1p(a * d.sigmoid(b * z))


@oracle
def smish(z, a=1.0, b=1.0):
    return a * z * d.tanh(d.log1p(d.sigmoid(b * z)))


@oracle
def tsrelu(z):
    return z * d.tanh(d.sigmoid(z))


@oracle
def pats(z, k=0.625):
    return z * d.atan(k * d.sigmoid(z) * d.pi)


@oracle
def aria2(z, alpha=1.5, beta=2.0):
    return z * d.exp(-alpha * d.softplus(-beta * z))


@oracle
def sara(z, a=0.5, b=0.7):
    return z if z > 0 else z / (1 + a * d.exp(-b * z))


@oracle
def swish_t(z, alpha=0.1, beta=1.0):
    return z * d.sigmoid(beta * z) + alpha * d.tanh(z)


@oracle
def elish(z):
    return z * d.sigmoid(z) if z >= 0 else d.expm1(z) * d.sigmoid(z)


@oracle
def sechsig(z):
    return (z + d.sech(z)) * d.sigmoid(z)


# 1 - tanh in the derivative in alpha
@oracle(digits=300)
def alpha_sechsig(z, alpha=1.0):
    return (z + alpha * d.sech(z + alpha)) * d.sigmoid(z)


@oracle
def tanhsig(z):
    return (z + d.tanh(z)) * d.sigmoid(z)


@oracle
def alpha_tanhsig(z, alpha=1.0):
    return (z + alpha * d.tanh(z + alpha)) * d.sigmoid(z)
