"""Fuzz: whatever stands in a campaign, a file or a choice, it is taken or refused in one line.

GRADSIM_FUZZ=30 tries thirty times as many.
"""

from __future__ import annotations

import tomllib

from campaign_help import AXES, cases, grids, small
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradsim import Campaign, UsageError, tomlfile
from gradsim.fields import RunFields

DOTTED = ["activation.slope", "learning_rate.0", "optimizer.beta", "dataset.noise", "initializer.std"]
NAMES = [*RunFields.model_fields, *DOTTED]
SENSIBLE = st.sampled_from(
    [
        *(0, 1, 2, 5, 0.1, 1.0, True, False, "full", "float64", "mse", "auto", "none", [3, 2], [0.1, 0.2]),
        *("relu", "tanh", "leaky_relu(slope=0.2)", ["tanh", "relu"], {"name": "leaky_relu"}, "iris", "moons"),
        *("normal(std=1)", "zeros", {"name": "normal", "std": 2}, "sgd", "momentum"),
        *({"range": 3}, {"geomspace": [0.1, 1, 3]}),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from([10**400, -(10**400), "", "relu()", "a.csv", "normal(std=)", "((((", "\x00"]),
    SENSIBLE,
)
KEYS = st.one_of(
    st.sampled_from([*NAMES, "name", "range", "geomspace", "linspace", "std", "slope", "grid", "X", "y"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
)
GRIDS = st.dictionaries(st.sampled_from(NAMES) | KEYS, st.lists(SENSIBLE, min_size=1, max_size=4) | VALUES, max_size=3)
GROUPS = GRIDS | st.lists(GRIDS, max_size=2) | VALUES
OF_THE_CAMPAIGN = {
    "grid": grids(50) | GRIDS | VALUES,
    "zip": GROUPS,
    "exclude": GROUPS,
    "thresholds": st.dictionaries(st.sampled_from(["diverged", "stalled", "x"]), SCALARS, max_size=2) | VALUES,
    "name": st.text(max_size=8) | VALUES,
    "stepps": VALUES,
}


@st.composite
def campaigns(draw):
    """A few fields, each sensible, nearly so, or anything at all."""
    names = st.sampled_from(sorted({*Campaign.model_fields, *OF_THE_CAMPAIGN}))
    fields = {}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        good = st.sampled_from(AXES[name]) if name in AXES else OF_THE_CAMPAIGN.get(name, SENSIBLE)
        fields[name] = draw(st.one_of(good, good, good, SENSIBLE, VALUES))
    return fields


def is_refused_in_one_line(call) -> bool:
    """Whether `call` was refused; anything but a UsageError of one line is an error of the test."""
    try:
        call()
    except UsageError as error:
        refused = error
    else:
        return False
    assert type(refused) is UsageError
    assert len(str(refused).splitlines()) == 1
    assert len(str(refused)) < 900
    return True


@settings(max_examples=cases(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(campaigns())
@example({"grid": {"seed": [True]}})
@example({"hidden": [3, 2], "grid": {"activation": [["tanh", "relu"], "relu"]}})
def test_any_dictionary_is_a_campaign_or_refused(fields):
    is_refused_in_one_line(lambda: Campaign(**fields))


@settings(max_examples=cases(150), deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="[]{}=\"'.,#\n\\0123456789abdegnirst_ ", max_size=60)))
def test_any_text_is_a_campaign_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    is_refused_in_one_line(lambda: Campaign.from_toml(path))


@settings(max_examples=cases(100), deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_campaign_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(content)
    is_refused_in_one_line(lambda: Campaign.from_toml(path))


@settings(max_examples=cases(150), deadline=None)
@given(st.text(max_size=30) | st.text(alphabet="normal(std=1,e)'\"[]{}*.-+ ", max_size=30))
def test_any_text_is_a_choice_or_refused(text):
    for field in ("activation", "initializer", "optimizer", "loss", "dataset"):
        is_refused_in_one_line(lambda field=field: small(**{field: text}))


PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=cases(200), deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), PLAIN, max_size=5))
def test_toml_is_written_as_it_is_read(fields):
    def same(a, b) -> bool:
        if isinstance(a, dict):
            return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
        if isinstance(a, list):
            return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
        return type(a) is type(b) and (a == b or (a != a and b != b))

    # Tables stand after plain values: within each kind the order is kept.
    again = tomllib.loads(tomlfile.dumps(fields))
    assert set(again) == set(fields)
    assert all(same(fields[k], again[k]) for k in fields)
