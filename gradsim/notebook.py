"""How campaigns, results and activations show themselves in a notebook: small pages of HTML, without scripts.

Colors are the notebook's own, so that they can be read on light and on dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from gradsim.analysis import words
from gradsim.choices import Choice
from gradsim.fields import OWN_DATA, label_of

if TYPE_CHECKING:
    from gradsim.activations.spec import Activation
    from gradsim.campaign import Campaign
    from gradsim.results import Results

_SHOWN = 8  # values of an axis that are written out
_SIZE = (360, 220)  # of a picture, in pixels


def campaign_html(campaign: Campaign) -> str:
    """A campaign: how many networks, what varies, what is the same in all."""
    plan = campaign.plan
    fields = campaign.resolved()
    varied = [
        (name, _values(_labels(name, values)))
        for axis in plan.axes
        for name, values in zip(axis.names, axis.values, strict=True)
    ]
    apart = ("name", "grid", "zip", "exclude", "thresholds")
    fixed = [(name, _short(value)) for name, value in fields.items() if name not in apart]
    head = f"{campaign.name}: {plan.size:,} networks"
    return f"<div>{_heading(head)}{_table(varied, 'varied')}{_folded('the same in all runs', _table(fixed))}</div>"


def results_html(results: Results) -> str:
    """Results: how far they are, what became of the runs, where the report is."""
    runs = results.runs if results.files("runs") else None
    name = str(results.settings.get("name", results.path.name))
    if runs is None:
        return f"<div>{_heading(f'{name}: no finished run yet')}</div>"
    counts = runs["outcome"].value_counts()
    rows = [(str(k), f"{v:,} ({words.percent(v / len(runs))})") for k, v in counts.items() if v]
    axes = [(axis, _values(runs[axis].drop_duplicates().tolist())) for axis in results.axes]
    page = results.path / "report" / "index.html"
    link = f"<p>Report: <code>{escape(str(page))}</code></p>" if page.exists() else ""
    head = _heading(f"{name}: {len(runs):,} runs in {results.path}")
    return f"<div>{head}{_table(rows, 'outcomes')}{_table(axes, 'varied')}{link}</div>"


def activation_html(activation: Activation) -> str:
    """An activation: formula, what is known of it, and where it is pointwise its curve."""
    known = [
        ("parameters", ", ".join(f"{k} = {v:g}" for k, v in activation.values.items())),
        ("range", _interval(activation.range)),
        ("saturates", str(activation.saturates)),
        ("monotonic", "yes" if activation.monotonic else "no"),
        ("zero-centered", "yes" if activation.zero_centered else "no"),
        ("kinks", ", ".join(f"{k:g}" for k in activation.kinks)),
        ("reference", activation.reference),
    ]
    formula = f"<p>$f(z) = {escape(activation.formula)}$</p>" if activation.formula else ""
    picture = _curve(activation) if activation.kind == "pointwise" else ""
    return f"<div>{_heading(activation.label)}{formula}{picture}{_table([row for row in known if row[1]])}</div>"


# --- pieces ---------------------------------------------------------------------------------------


def _heading(text: str) -> str:
    return f"<p><b>{escape(text)}</b></p>"


def _table(rows: Iterable[tuple[str, str]], caption: str = "") -> str:
    body = "".join(
        f'<tr><th style="text-align: left">{escape(name)}</th><td style="text-align: left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    over = f'<caption style="text-align: left">{escape(caption)}</caption>' if caption else ""
    return f"<table>{over}{body}</table>" if body else ""


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def _labels(name: str, values: Iterable[object]) -> list[object]:
    """Values of an axis, named functions as they stand in tables."""

    def label(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(label, value))
        return label_of(name, value) if isinstance(value, Choice) and value.name not in OWN_DATA else value

    return [label(value) for value in values]


def _values(values: Iterable[object]) -> str:
    values = list(values)
    shown = [_short(v) for v in values]
    if len(shown) > _SHOWN:
        shown = [*shown[: _SHOWN - 2], "...", shown[-1]]
        return f"{', '.join(shown)} ({len(values):,} values)"
    return ", ".join(shown)


def _short(value: object) -> str:
    """A setting in a few words."""
    if isinstance(value, tuple | list):
        parts = [_short(v) for v in value]
        alike = len(parts) > 1 and len(set(parts)) == 1
        return f"[{parts[0]}]x{len(parts)}" if alike else "-".join(parts) or "none"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{k}={_short(v)}" for k, v in value.items() if k != "name")
        return f"{value.get('name', '')}({inside})" if inside else str(value.get("name", ""))
    text = str(getattr(value, "label", value))
    return text if len(text) <= 80 else f"{text[:38]}...{text[-39:]}"  # a path is known by its end


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.4g}, {ends[1]:.4g}]"


def _curve(activation: Activation) -> str:
    """f and f' from -5 to 5 as an SVG picture."""
    z = np.linspace(-5, 5, 201)
    with np.errstate(all="ignore"):
        curves = [np.asarray(a, float) for a in activation.value_and_derivative(z)]
    finite = np.concatenate([c[np.isfinite(c)] for c in curves])
    if not len(finite):
        return ""
    low, high = (float(np.clip(end, -6, 6)) for end in (min(finite.min(), 0), max(finite.max(), 0)))
    width, height = _SIZE
    to_x = (z + 5) / 10 * width

    def to_y(values: np.ndarray | float) -> np.ndarray | float:
        return (high - values) / max(high - low, 1e-9) * (height - 20) + 10

    paths = []
    for values, style in zip(curves, ("#0072B2", "#D55E00; stroke-dasharray: 6 4"), strict=True):
        inside = np.isfinite(values) & (values >= low - 0.5) & (values <= high + 0.5)
        steps = np.split(np.arange(len(z)), np.flatnonzero(np.diff(inside.astype(int))) + 1)
        lines = [" ".join(f"{to_x[i]:.1f},{to_y(values[i]):.1f}" for i in part) for part in steps if inside[part[0]]]
        paths += [f'<polyline points="{line}" style="fill: none; stroke-width: 2; stroke: {style}"/>' for line in lines]
    zero = f'<path d="M0 {to_y(0.0):.1f}H{width}M{width / 2} 0V{height}" style="stroke: currentColor; opacity: .4"/>'
    note = f"f (solid) and its slope (dashed), z from -5 to 5, vertically {low:.3g} to {high:.3g}"
    said = f'role="img" aria-label="{escape(note)}"'
    picture = (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" {said}>{zero}{"".join(paths)}</svg>'
    )
    return f"{picture}<p><small>{escape(note)}</small></p>"
