"""Commands that need no campaign: list, plot, theory, recommend, doctor."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from gradsim.cli.options import Json, Quiet, Threads
from gradsim.cli.output import picture, print_activations, print_json, print_table, save_picture
from gradsim.errors import UsageError, did_you_mean


def list_names(
    kind: Annotated[str, typer.Argument(help="activations, initializers, losses, optimizers, schedules or datasets.")],
    match: Annotated[str | None, typer.Option("--match", "-m", help="Only rows that hold this text.")] = None,
    as_json: Json = False,
) -> None:
    """List what can be named in a campaign; --json has the formulas, too.

    Example: [bold]gradsim list activations --match learned[/bold]
    """
    from gradsim.listing import KINDS, listing, matching

    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}{did_you_mean(kind, KINDS)}")
    rows = listing(kind)
    shown = rows if match is None else matching(rows, match)
    if as_json:
        print_json(shown)
    elif kind == "activations":
        print_activations(shown, len(rows))
    elif shown:
        # Formulas are LaTeX: for programs, and for those who typeset it.
        print_table([{name: value for name, value in row.items() if name != "formula"} for row in shown])
    else:
        print(f"none of {len(rows)} {kind} holds {match!r}")


def plot(
    names: Annotated[
        list[str] | None,
        typer.Argument(help='Activations: relu, "leaky_relu(slope=0.2)", or mine="z*sin(z)".', metavar="NAME"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .png, .svg or .pdf file; NAMES.png by default.")
    ] = None,
    ends: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", help="Lowest and highest pre-activation; -5 5 by default.", metavar="LOW HIGH"),
    ] = None,
    unit_step: Annotated[bool, typer.Option("--unit-step", help="Draw how W and b move a unit's step.")] = False,
    staircase: Annotated[
        bool, typer.Option("--staircase", help="Draw how sums of steps approximate a function.")
    ] = False,
    dark: Annotated[bool, typer.Option("--dark", help="On dark paper.")] = False,
) -> None:
    """Draw activations, value and slope side by side, with kinks and saturated zones.

    Example: [bold]gradsim plot relu gelu mine="z*sin(z)" -o out.png[/bold]
    """
    if bool(names) + unit_step + staircase != 1:
        raise UsageError("plot: give either activations, or --unit-step, or --staircase")
    if ends and not names:
        raise UsageError("--range: is of activations; leave it out")
    path = picture(out or Path(_file_name(names) if names else "unit_step.png" if unit_step else "staircase.png"))
    from gradsim import plots

    theme = "dark" if dark else "light"
    if names:
        figure = plots.activations(names, *(ends or ()), theme=theme)
    else:
        figure = (plots.unit_step if unit_step else plots.staircase)(theme=theme)
    save_picture(figure, path)
    print(path)


def _file_name(names: list[str]) -> str:
    """relu-gelu.png: what was drawn, by the words that open each name."""
    stems = [re.match(r"\s*(\w*)", name)[1] for name in names]
    return f"{'-'.join(dict.fromkeys(filter(None, stems)))[:80] or 'activations'}.png"


def theory(
    names: Annotated[
        list[str],
        typer.Argument(help='Activations: tanh, "leaky_relu(slope=0.2)", or mine="z*sin(z)".', metavar="NAME"),
    ],
    sigma_b: Annotated[float, typer.Option(help="Standard deviation of the biases.")] = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the phases, too: a .png, .svg or .pdf file.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Draw on dark paper.")] = False,
    as_json: Json = False,
) -> None:
    """Show what mean-field theory says of activations: gain, edge of chaos, fixed points, depth scales.

    q: variance of pre-activations; chi1: factor of squared gradients a layer;
    xi_c: layers over which correlations settle, by a factor e.
    critical: on the edge of chaos; lecun, he: weights of variance 1, 2 / fan-in.

    Example: [bold]gradsim theory tanh gelu mine="z*sin(z)" -o phases.png[/bold]
    """
    path = None if out is None else picture(out)
    from gradsim.theory import theory_table

    rows = theory_table(names, sigma_b).to_dict("records")
    if path is not None:
        from gradsim import plots

        save_picture(plots.phase_diagrams(names, sigma_b, theme="dark" if dark else "light"), path)
    if as_json:
        print_json([{k: None if v != v or v in (math.inf, -math.inf) else v for k, v in row.items()} for row in rows])
        return
    # One column an activation: a dozen numbers each, and reasons where there is none.
    told = [{"": key} | {row["activation"]: _shown(row[key]) for row in rows} for key in rows[0] if key != "activation"]
    print_table(told)
    if path is not None:
        print(path)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "none" if math.isnan(value) else f"{value:.6g}"
    return "none" if value is None else str(value)


OF_ONE_NUMBER = 'relu, mine="z*sin(z)", any; may be repeated. Not those of whole layers, as softmax and maxout.'


def recommend(
    activations: Annotated[
        list[str] | None,
        typer.Option("--activation", "-a", help=OF_ONE_NUMBER, metavar="NAME"),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="A data set, or a CSV, Parquet or .npz file; digits by default.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column of a file to predict; by default the last.")] = None,
    features: Annotated[int | None, typer.Option(help="Inputs, where only the shape of the data is known.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes of such data.")] = None,
    outputs: Annotated[int | None, typer.Option(help="Outputs of such data, for regression.")] = None,
    samples: Annotated[int | None, typer.Option(help="Rows of such data; 1000 by default.")] = None,
    depth: Annotated[int, typer.Option(help="Hidden layers.")] = 5,
    width: Annotated[int, typer.Option(help="Units of each.")] = 32,
    batch_size: Annotated[int | None, typer.Option(help="64 by default, or all rows where there are fewer.")] = None,
    steps: Annotated[int, typer.Option(help="Within which networks have to converge.")] = 1000,
    seeds: Annotated[int, typer.Option(help="Fresh ones that the recommendation is verified with.")] = 64,
    code: Annotated[
        str | None, typer.Option(help="Print only a program with the settings: pytorch, keras or jax.")
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Recommend initializer, optimizer and learning rate for a network, verified, and say what to avoid and why.

    Theory narrows, small campaigns decide. Example: [bold]gradsim recommend -a tanh --depth 20 --data digits[/bold]
    """
    from gradsim.advice import recommend as advise
    from gradsim.advice.ask import chosen_data, chosen_framework

    framework = chosen_framework(code, as_json)
    shape = {"features": features, "classes": classes, "outputs": outputs, "samples": samples}
    given = chosen_data(data, target, shape)
    rest = {"batch_size": batch_size, "threads": threads, "progress": not quiet}
    found = advise(activations or "any", given, depth, width, steps=steps, seeds=seeds, **rest)
    if as_json:
        print_json(found.to_dict())
    elif framework is not None:
        print(found.code(framework), end="")
    else:
        from gradsim.advice.text import show

        show(found)


def doctor(as_json: Json = False) -> None:
    """Show versions, processor, cache, and the machine's multiply-add peak, measured."""
    from gradsim.doctor import examine

    found = examine()
    if as_json:
        print_json(found)
        return
    width = max(map(len, found))
    for key, value in found.items():
        print(f"{key:{width}}  {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
