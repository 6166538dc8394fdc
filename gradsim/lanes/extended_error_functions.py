"""The error function and its tails of `Extended` pairs.

Near 0 the Taylor series of erf; elsewhere exp(-x^2) erfcx(x), where (1 + 2 x) erfcx(x), a smooth function of
(x - 3)/(x + 3), is one polynomial for all x >= 0 (`docs/coefficients.py` derives the numbers).
"""

from __future__ import annotations

from gradsim.lanes import error_functions
from gradsim.lanes.extended import declare
from gradsim.lanes.extended_elementary import reduced_exp
from gradsim.lanes.pairs import Pair, choose, fast_two_sum, polynomial, with_sign

ERF_LEADING = (
    (1.1283791670955126, 1.533545961316588e-17),
    (-0.37612638903183754, 1.3391897206030649e-17),
    (0.11283791670955126, -4.017569161809194e-18),
    (-0.026866170645131252, 4.6092880729453e-19),
)
ERF_TAIL = (
    0.005223977625442188,
    -0.0008548327023450643,
    0.00012055332981613729,
    -1.4925650302028845e-05,
    1.6462105486027827e-06,
    -1.6365084032691071e-07,
    1.477099068792094e-08,
    -1.1386937191544022e-09,
)
ERFCX_LEADING = (
    (0.25300805826972966, -1.023493701477821e-17),
    (-0.38862916439431083, -1.2727217353472519e-17),
    (0.34106687004085967, -1.5336663005814907e-17),
    (-0.211421711338097, -1.0402588720955393e-17),
    (0.09214804792282318, -4.744692764365148e-18),
    (-0.023840020578900552, 1.653588678273914e-19),
    (6.950565922993332e-05, 3.441031993271757e-22),
    (0.0024598861574835307, -8.577084194015471e-20),
    (-0.0005711957835980314, -7.800310028777085e-21),
    (-0.00020863649186947644, -8.969863721755431e-21),
    (0.00010347657316033885, -3.689477627288791e-21),
)
ERFCX_TAIL = (
    2.162278264228412e-05,
    -1.6672702307573363e-05,
    -3.427814160924633e-06,
    2.6943472131978985e-06,
    7.777492765525238e-07,
    -4.1656203227232764e-07,
    -1.9913203759363787e-07,
    5.092261938844985e-08,
    4.916539436967127e-08,
    -5.478366926285652e-10,
    -1.0580788649668359e-08,
    -2.5234493839368215e-09,
    1.692265121788092e-09,
    1.0808275463277752e-09,
    -7.68198302826077e-11,
    -2.9512105347828216e-10,
    -6.750883971423566e-11,
    5.6790882307790446e-11,
    2.809604892920867e-11,
    -7.0988471479171125e-12,
    -5.668130659495531e-12,
    4.3380061520691516e-13,
    5.165269073277937e-13,
)


def _limited(x: Pair, limit: float) -> Pair:
    """x up to a limit."""
    return choose(x.high.compare(">", limit), limit, x)


def erfcx(x: Pair) -> Pair:
    """(1 + t p(t - 1))/(1 + 2 x) with t = 2 x/(x + 3); halved above and below, for 2 x may overflow."""
    z = _limited(x, 1e40)
    u = (z - 3) / (z + 3)
    p = polynomial(u, ERFCX_LEADING, ERFCX_TAIL)
    return (0.5 + (0.5 + 0.5 * u) * p) / (0.5 + x)


def _tail(z: Pair) -> Pair:
    """erfc(z) for z >= 0."""
    z = _limited(z, 30)
    p, a, b = reduced_exp(-(z * z))
    s, e = fast_two_sum(a.of(1), p.high)
    # Only the product is scaled: exp(-z^2) would lose bits to underflow before it does.
    y = Pair(s, e + p.low) * erfcx(z)
    return Pair(y.high * a * b, y.low * a * b).finite()


def erfc(x: Pair) -> Pair:
    y = _tail(abs(x))
    return choose(x.high.compare("<", 0), 2 - y, y)


def erf(x: Pair) -> Pair:
    z = abs(x)
    near = z.high.compare("<", 0.5)
    inner = choose(near, x, 0)
    series = inner * polynomial(inner.product(inner), ERF_LEADING, ERF_TAIL)
    return choose(near, series, with_sign(1 - _tail(z), x))


for _function, _emit in (
    (error_functions.erfcx, erfcx),
    (error_functions.erfc, erfc),
    (error_functions.erf, erf),
):
    declare(_function, _emit, 1)
