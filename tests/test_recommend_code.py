"""Code to paste: activations as each framework writes them, initializers to the last moment, programs that train."""

from __future__ import annotations

import ast
import importlib.util
import math
import re

import numpy as np
import pytest
from recommend_help import recommendation

from gradsim import activations
from gradsim.advice.formulas import FRAMEWORKS, NATIVE, TEXTS, activation_source, rewritten
from gradsim.advice.snippets import recipe, snippet
from gradsim.errors import UsageError
from gradsim.initializers import INITIALIZERS, Layer
from gradsim.theory.subject import subject

DRAWN = (
    "he_normal",
    "glorot_uniform",
    "torch_linear",
    "lecun_normal(gain='auto')",
    "orthogonal(gain='auto')",
    "critical(sigma_b=0.2)",
)
BY_DATA = ("lsuv", "data_dependent")
FORMULAS = (
    "z*sin(z)",
    "-z**2 + exp(-1)*z",
    "max(z, 0.1*z, -1)",
    "min(0, z) + piecewise(z < -1, -1, -1 <= z and z < 1, z/2, 2)",
    "where(not (0 < z < 2) or z == 1, sech(z), gaussian(z))",
    "cbrt(1 + z**2) + erfc(z)*logistic(z) - logsigmoid(z)/ln(3)",
    "gelu(z) + swish(z) + softsign(z) + asinh(z) + atan(z) + pi*z/e + relu(z)",
)
Z = np.array([-3.0, -1.5, -0.6, -0.1, 0.2, 0.7, 1.3, 2.6])


def importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def evaluated(source: str, framework: str) -> np.ndarray:
    """The source at Z, in float64."""
    if framework == "pytorch":
        torch = pytest.importorskip("torch")
        space = {"torch": torch, "F": torch.nn.functional}
        return np.asarray(eval(source, space | {"z": torch.tensor(Z)}))
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        import jax.numpy as jnp

        return np.asarray(eval(source, {"jax": jax, "jnp": jnp, "z": jnp.asarray(Z)}))


def names_of(framework: str) -> list[str]:
    """Every activation that can be written in a framework."""
    return sorted(set(NATIVE[framework]) | set(TEXTS))


@pytest.mark.parametrize("framework", ["pytorch", "jax"])
def test_activations_are_those_of_the_catalogue(framework):
    for name in names_of(framework):
        act = activations.get(name)
        # Functions of the frameworks compute in float32 inside at times.
        np.testing.assert_allclose(
            evaluated(activation_source(act, framework), framework), act(Z), rtol=2e-6, atol=2e-6, err_msg=name
        )


@pytest.mark.parametrize("framework", ["pytorch", "jax"])
@pytest.mark.parametrize("text", FORMULAS)
def test_typed_formulas_mean_the_same_in_a_framework(text, framework):
    found = evaluated(activation_source(subject(text), framework), framework)
    np.testing.assert_allclose(found, subject(text)(Z), rtol=2e-6, atol=2e-6)


def test_parameters_of_formulas_become_numbers():
    act = activations.from_formula("where(z > -c, z, c*z)", parameters={"c": 2.5}).with_values(c=-0.5)
    assert rewritten("where(z > -c, z, c*z)", act.values, "jax") == "jnp.where(z > --0.5, z, -0.5 * z)"


def test_keras_words_are_those_of_its_documentation():
    # keras.ops and keras.activations of Keras 3, as their pages list them.
    known = {
        "ops": "exp expm1 log log1p sqrt abs sign sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh erf sigmoid "
        "relu softplus silu log_sigmoid softsign gelu where",
        "activations": "relu leaky_relu elu selu celu gelu silu mish softplus log_sigmoid softsign tanh sigmoid relu6",
    }
    for name in names_of("keras"):
        source = activation_source(activations.get(name), "keras")
        compile(source, "<keras>", "eval")
        for home, word in re.findall(r"\b(ops|activations)\.(\w+)\(", source):
            assert word in known[home].split(), source
    for text in FORMULAS:
        source = activation_source(subject(text), "keras")
        assert not re.search(r"torch|jnp|(?<!\.)\b(max|min|sech|cbrt|gaussian)\(", source)


def test_what_cannot_be_written_is_refused_in_one_line():
    for name, why in (("prelu", "learned"), ("rrelu", "random"), ("phish", "no function of PyTorch")):
        with pytest.raises(UsageError, match=why):
            activation_source(activations.get(name), "pytorch")
    with pytest.raises(UsageError, match="did you mean 'pytorch'"):
        snippet(recommendation(), "torch")
    assert recommendation("phish").to_dict()["code"] == dict.fromkeys(FRAMEWORKS)


# --- programs -------------------------------------------------------------------------------------


def program(framework: str, result) -> dict[str, object]:
    pytest.importorskip({"pytorch": "torch"}.get(framework, framework))
    space: dict[str, object] = {"__name__": "pasted"}
    exec(compile(snippet(result, framework), f"<{framework}>", "exec"), space)
    return space


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("initializer", [*DRAWN, *BY_DATA])
def test_every_program_is_python_and_says_what_it_is(initializer, optimizer):
    for data in ("iris", "diabetes"):
        result = recommendation("tanh", initializer, optimizer, data)
        for framework in FRAMEWORKS:
            text = snippet(result, framework)
            assert initializer in text
            assert "8 of 8 seeds converged" in text
            assert max(map(len, text.splitlines())) <= 130
            assert not re.search(r"\n{4}|[ \t]\n", text), text
            names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
            assert "Undefined" not in names


def moments(matrices: list[list[np.ndarray]]) -> list[tuple[float, float]]:
    """(root mean square of the weights, of a layer) over networks."""
    return [math.sqrt(np.mean(np.square([m[i] for m in matrices]))) for i in range(len(matrices[0]))]


@pytest.mark.parametrize("framework", ["pytorch", "jax"])
@pytest.mark.parametrize("initializer", DRAWN)
def test_programs_start_as_campaigns_do(initializer, framework):
    result = recommendation("tanh", initializer)
    campaign = result.campaign(seeds=range(24))
    X, *_ = campaign.data()
    theirs = [campaign.initial_weights(str(run)) for run in campaign.plan.run_ids(np.arange(24))]
    space = program(framework, result)
    mine = [started(space, framework, X, seed) for seed in range(24)]
    for part in (0, 1):  # weights, biases
        a, b = (moments([[layer[part] for layer in net] for net in nets]) for nets in (mine, theirs))
        # Of 24 x 36 and more numbers, the root mean square varies by 1/sqrt(2 n): 2.4%.
        np.testing.assert_allclose(a, b, rtol=0.13, atol=1e-6)
    if recipe(initializer, subject("tanh")).distribution in ("uniform", "truncated"):
        for i in range(3):
            edges = [max(np.abs(net[i][0]).max() for net in nets) for nets in (mine, theirs)]
            np.testing.assert_allclose(*edges, rtol=0.05)


@pytest.mark.parametrize("framework", ["pytorch", "jax"])
@pytest.mark.parametrize("initializer", BY_DATA)
def test_programs_start_from_data_as_campaigns_do(initializer, framework):
    result = recommendation("sigmoid", initializer)
    X, *_ = result.campaign().data()
    (run,) = result.campaign(seeds=[0]).plan.run_ids(np.arange(1))
    mine = started(program(framework, result), framework, X, 0)
    for network in (mine, result.campaign(seeds=[0]).initial_weights(str(run))):
        x = X
        for W, b in network:
            z = x @ W + b
            if initializer == "lsuv":
                assert z.var() == pytest.approx(1, abs=0.1)
                assert not b.any()
            else:
                np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
                np.testing.assert_allclose(z.var(axis=0), 1, rtol=1e-3)
            x = 1 / (1 + np.exp(-z))


def started(space: dict, framework: str, X: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """[(W [fan_in, fan_out], b), ...] of a network that a program made."""
    if framework == "pytorch":
        torch = pytest.importorskip("torch")
        torch.manual_seed(seed)
        network = space["Network"]()
        space["initialize"](network, torch.as_tensor(X))
        return [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in network.layers]
    jax = pytest.importorskip("jax")
    return [(np.asarray(W), np.asarray(b)) for W, b in space["initialize"](jax.random.key(seed), X)]


@pytest.mark.parametrize("framework", ["pytorch", "jax"])
@pytest.mark.parametrize(
    ("optimizer", "data"), [("sgd", "iris"), ("momentum", "diabetes"), ("adam", "iris"), ("adam", "diabetes")]
)
def test_programs_train(framework, optimizer, data):
    result = recommendation("mine=z*sin(z) + z", "lecun_normal(gain='auto')", optimizer, data)
    X, y, *_ = result.campaign().data()
    space = program(framework, result)
    if framework == "pytorch":
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        network, X, y = space["Network"](), torch.as_tensor(X), torch.as_tensor(y)
        space["initialize"](network, X)
        before = float(space["loss_of"](network, X, y).detach())
        space["train"](network, X, y)
        after = float(space["loss_of"](network, X, y).detach())
    else:
        jax = pytest.importorskip("jax")
        parameters = space["initialize"](jax.random.key(0), X)
        before = float(space["loss_of"](parameters, X, y))
        after = float(space["loss_of"](space["train"](jax.random.key(1), parameters, X, y), X, y))
    assert after < 0.8 * before


@pytest.mark.parametrize("data", ["iris", "diabetes"])
@pytest.mark.parametrize(("framework", "module"), [("pytorch", "torch"), ("jax", "jax"), ("keras", "keras")])
def test_programs_show_that_they_train_when_run(framework, module, data, capsys):
    text = snippet(recommendation("tanh", "he_normal", "adam", data), framework)
    shown = text.partition('if __name__ == "__main__":')[2]
    assert re.search(r"# .*X: (torch\.)?float32 \[rows, features\], y: ", shown)
    assert ("int64" in shown) == (data == "iris")
    if not importable(module):
        pytest.skip(f"{module} is not installed")
    exec(compile(text, f"<{framework}>", "exec"), {"__name__": "__main__"})
    losses = [float(x) for x in re.findall(r"^loss .*: (\S+)$", capsys.readouterr().out, re.MULTILINE)]
    assert losses
    assert np.isfinite(losses).all()
    if framework != "keras":
        assert losses[1] < 0.5 * losses[0]


def test_recipes_hold_what_initializers_say():
    tanh = subject("tanh")
    for name in DRAWN[:4]:
        found = recipe(name, tanh)
        from gradsim.choices import parse
        from gradsim.fields import completed

        choice = completed("initializer", parse(name, "initializer"))
        for layer, gain in ((Layer(40, 8, tanh), found.gain), (Layer(40, 8), found.last_gain)):
            fan = 40 if found.mode == "fan_in" else 24
            _, variance = INITIALIZERS[choice.name].moments(layer, **choice.values)
            assert gain**2 / fan == pytest.approx(variance, rel=1e-12)
    assert recipe("critical(sigma_b=0.2)", tanh).bias_std == 0.2
    with pytest.raises(UsageError, match="cannot be written"):
        recipe("zeros", tanh)
