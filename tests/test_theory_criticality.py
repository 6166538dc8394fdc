"""The edge of chaos, phases, curves and the table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from campaign_help import refusal

from gradsim import theory
from gradsim.activations import get
from gradsim.theory.meanfield import chi_at

# --- the edge ---------------------------------------------------------------------------


def test_relu_is_critical_at_sigma_w_squared_2_without_biases_and_nowhere_else():
    assert theory.critical_sigma_w("relu", 0.0) ** 2 == pytest.approx(2, rel=1e-12)
    assert theory.critical_sigma_w("leaky_relu(slope=0.3)", 0.0) ** 2 == pytest.approx(2 / 1.09, rel=1e-12)
    for sigma_b in (1e-3, 0.3, 5.0):
        refusal(
            lambda s=sigma_b: theory.critical_sigma_w("relu", s),
            "relu has no edge of chaos",
            "sigma_b = 0 only",
            error=theory.NoFixedPoint,
        )
    assert theory.fixed_points("relu", math.sqrt(2), 0.0) == [theory.FixedPoint(1.0, pytest.approx(1.0))]
    assert theory.fixed_points("relu", math.sqrt(2), 0.1) == []
    assert theory.fixed_point("relu", 1.0, 0.1) == pytest.approx(0.02, rel=1e-10)
    refusal(lambda: theory.chi1("relu", 1.5, 0.1), "grows without end", "1.5", "0.1", error=theory.NoFixedPoint)
    assert theory.chi1("relu", 1.0, 0.0) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "bias", "weight", "kernel"),
    [("gelu", 0.17292239, 1.98305826, 3.56155281), ("silu", 0.55514317, 1.98800468, 14.32017362)],
)
def test_published_half_stable_points(name, bias, weight, kernel):
    """Where the edge begins to last: V'(K) = 1 and chi1 = 1 (Roberts, Yaida & Hanin 2022, section 5.3.4)."""
    act = get(name)
    sigma_w, sigma_b = math.sqrt(weight), math.sqrt(bias)
    assert theory.variance_map(act, kernel, sigma_w, sigma_b) == pytest.approx(kernel, rel=3e-8)
    assert chi_at(act, kernel, sigma_w) == pytest.approx(1, abs=1e-8)
    assert theory.variance_slope(act, kernel, sigma_w) == pytest.approx(1, abs=1e-8)
    edge = theory.edge_of_chaos(act)
    assert edge[edge["stable"]]["sigma_b"].min() == pytest.approx(sigma_b, rel=2e-3)
    assert theory.critical_sigma_w(act, sigma_b + 0.05) < sigma_w
    refusal(lambda: theory.critical_sigma_w(act, 0.9 * sigma_b), "repels", error=theory.NoFixedPoint)


def test_the_gaussian_bump_has_an_edge_in_closed_form():
    """E f^2 = (1+4q)^(-1/2), E f'^2 = 4q (1+4q)^(-3/2): without biases q = (1 + 4q)/(4q)."""
    q = (1 + math.sqrt(2)) / 2
    found = theory.critical("gaussian(z)", 0.0)
    assert found.q == pytest.approx(q, rel=1e-9)
    assert found.sigma_w**2 == pytest.approx((1 + 4 * q) ** 1.5 / (4 * q), rel=1e-9)


def test_points_of_the_edge_are_critical():
    edge = theory.edge_of_chaos("tanh")
    assert edge["stable"].all()
    for sigma_b in (0.05, 0.3, 1.5):
        got = np.interp(sigma_b, edge["sigma_b"], edge["sigma_w"])
        assert got == pytest.approx(theory.critical_sigma_w("tanh", sigma_b), rel=1e-5)
    assert theory.edge_of_chaos("softplus").empty
    point = theory.edge_of_chaos("relu")
    assert (point["sigma_b"] == 0).all()
    np.testing.assert_allclose(point["sigma_w"], math.sqrt(2), rtol=1e-9)
    first = theory.edge_of_chaos("sigmoid").iloc[0]
    assert first["sigma_b"] == 0
    assert first["sigma_w"] == pytest.approx(theory.critical_sigma_w("sigmoid", 0.0), rel=1e-5)


def test_an_edge_ends_where_a_function_winds_too_often_to_be_followed():
    """sin(a z): E f'^2 = a^2 (1 + exp(-2 a^2 q))/2, so that the edge is sin's with sigma_w divided by a."""
    edge, plain = theory.edge_of_chaos("sin(30*z)"), theory.edge_of_chaos("sin(z)")
    assert edge["q"].max() < plain["q"].max()
    inside = edge[edge["q"].between(1e-4, 1.0)]
    wanted = 1 / np.sqrt(450 * (1 + np.exp(-1800 * inside["q"])))
    np.testing.assert_allclose(inside["sigma_w"], wanted, rtol=3e-5)
    step = theory.edge_of_chaos("binary_step")
    assert step.empty
    assert step["stable"].dtype == bool


# --- pictures' data and the table -------------------------------------------------------


def test_the_phase_diagram_is_what_the_functions_say():
    for name in ("tanh", "gelu", "relu"):
        frame = theory.phase_diagram(name, np.linspace(0.4, 2.4, 6), [0.0, 0.2, 1.0])
        assert len(frame) == 18
        for row in frame.itertuples():
            if row.phase == "unbounded":
                assert row.q == math.inf
                refusal(lambda r=row, n=name: theory.fixed_point(n, r.sigma_w, r.sigma_b), error=theory.NoFixedPoint)
            else:
                assert row.q == pytest.approx(theory.fixed_point(name, row.sigma_w, row.sigma_b), rel=1e-4, abs=1e-8)
                assert row.chi1 == pytest.approx(theory.chi1(name, row.sigma_w, row.sigma_b), rel=1e-4)
                assert row.phase == ("ordered" if row.chi1 < 1 else "chaotic")
    critical = theory.phase_diagram("relu", [math.sqrt(2)], [0.0, 0.1])
    assert critical["phase"].tolist() == ["critical", "unbounded"]


def test_curves_pass_through_what_stays():
    stays = theory.what_stays("tanh", [0.8, 2.0], 0.3)
    assert stays[stays["quantity"].eq("c")]["stable"].tolist() == [True, False, True]
    variances = theory.variance_curves("tanh", [0.8, 2.0], 0.3)
    correlations = theory.correlation_curves("tanh", [0.8, 2.0], 0.3)
    for frame, quantity in ((variances, "q"), (correlations, "c")):
        for point in stays[stays["quantity"].eq(quantity)].itertuples():
            curve = frame[frame["sigma_w"].eq(point.sigma_w)]
            assert np.interp(point.at, curve[quantity], curve["next"]) == pytest.approx(point.at, abs=2e-3)
    kinked = theory.correlation_curves("relu", [1.0], 0.3)
    wanted = [theory.correlation_map("relu", c, 0.18, 1.0, 0.3) for c in kinked["c"][::20]]
    np.testing.assert_allclose(kinked["next"][::20], wanted, atol=1e-5)
    assert theory.correlation_curves("relu", [2.0], 0.3).empty


def test_the_table_has_numbers_or_says_why_not():
    table = theory.theory_table(["tanh", "relu", "gelu", "softplus"], sigma_b=0.3).set_index("activation")
    row = table.loc["tanh"]
    assert row["critical_sigma_w"] == pytest.approx(1.39558, abs=5e-6)
    assert row["chi1_lecun"] == pytest.approx(theory.chi1("tanh", 1.0, 0.3))
    assert row["xi_c_he"] == pytest.approx(theory.depth_scales("tanh", math.sqrt(2), 0.3).xi_c)
    assert row["note"] == ""
    assert table["critical_sigma_w"].isna().tolist() == [False, True, True, True]
    assert "no edge of chaos" in table.loc["relu", "note"]
    assert "grows without end" in table.loc["relu", "note"]
    assert table.loc["relu", "gain"] == pytest.approx(math.sqrt(2))
    assert theory.theory_table([get("relu")]).loc[0, "critical_sigma_w"] == pytest.approx(math.sqrt(2))


def test_named_initializers_lie_where_their_formulas_say():
    assert theory.named_sigma_w() == {"LeCun, Glorot": 1.0, "He": pytest.approx(math.sqrt(2), rel=1e-9)}
    assert theory.named_sigma_w({"he_uniform": "He", "lecun_uniform": "LeCun"}) == {
        "LeCun": pytest.approx(1.0),
        "He": pytest.approx(math.sqrt(2)),
    }


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("ask", [theory.correlation_curves, theory.variance_curves, theory.what_stays])
def test_curves_take_lists(ask):
    for given in (1.0, None, "1"):
        refusal(lambda given=given: ask("tanh", given), f"sigma_w = {given!r}", "list of numbers")
    assert ask("tanh", []).empty
    assert {"activation", "sigma_w", "sigma_b"} < set(ask("tanh", []).columns)


def test_a_phase_diagram_takes_lists():
    refusal(lambda: theory.phase_diagram("tanh", 1, [0]), "sigma_w = 1:", "list of numbers")
    refusal(lambda: theory.phase_diagram("tanh", [1, 2], 5), "sigma_b = 5:", "list of numbers")
    refusal(lambda: theory.phase_diagram("tanh", None, None), "sigma_w = None", "list of numbers")
    refusal(lambda: theory.phase_diagram("tanh", [1.0, 10**400], [0]), "sigma_w = 1000", "from 0 to 1e+30")
    assert theory.phase_diagram("tanh", [], []).empty


def test_variances_beyond_the_edge_are_followed_in_a_phase_diagram():
    """tanh's variance has an end, however large; what is not computed is not called unbounded."""
    frame = theory.phase_diagram("tanh", [1e3], [0.0, 500.0])
    assert frame["phase"].tolist() == ["chaotic", "chaotic"]
    for row in frame.itertuples():
        assert row.q == theory.fixed_point("tanh", 1e3, row.sigma_b)
        assert row.chi1 == theory.chi1("tanh", 1e3, row.sigma_b)
    refusal(lambda: theory.phase_diagram("tanh", [1e5], [0.0]), "beyond q = 1e8", error=theory.NoFixedPoint)


def test_the_reasons_for_no_edge_do_not_contradict_themselves():
    refusal(lambda: theory.critical("tanh", 1000), "sigma_b = 1000", "from 0 to 300")
    assert theory.critical("tanh", 300.0).q > 300**2
    refusal(lambda: theory.critical("gelu", 0.1), "from about sigma_b = 0.42 on", error=theory.NoFixedPoint)
    said = refusal(
        lambda: theory.critical("gelu", 200),
        "no variance up to 1e5",
        "between about sigma_b",
        error=theory.NoFixedPoint,
    )
    assert " on" not in said.partition("chi1 = 1;")[2]


@pytest.mark.parametrize(
    ("names", "fragments"),
    [
        ({"lsuv": "x"}, ("lsuv", "the data decide")),
        ("ab", ("names = 'ab'", "table")),
        (["he_normal"], ("names = ['he_normal']", "table")),
        ({"he_normal": 5}, ("names = {'he_normal': 5}",)),
        ({"he_norml": "x"}, ("he_norml", "he_normal")),
    ],
)
def test_initializers_without_a_place_on_the_map_are_refused(names, fragments):
    refusal(lambda: theory.named_sigma_w(names), *fragments)
