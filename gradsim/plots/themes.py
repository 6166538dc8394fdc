"""Light and dark paper: one rc dict each, the colors in force, and which colors stand for each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from gradsim.errors import UsageError, did_you_mean

RGB, RGBA = tuple[float, float, float], tuple[float, float, float, float]

# Okabe and Ito (2008): apart for every kind of color vision; gray stands in for their yellow, too pale for a line.
_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "{ink}", "#8C8C8C")

_PAPERS = {
    "light": {"ink": "#1c2430", "muted": "#5a6676", "rule": "#d9dee6", "paper": "#ffffff"},
    "dark": {"ink": "#e8ebf0", "muted": "#a3adbb", "rule": "#343c49", "paper": "#161b22"},
}


@lru_cache(maxsize=4)
def rc_params(theme: str = "light") -> dict[str, Any]:
    """The rc settings of a theme, "light" or "dark", for `matplotlib.rc_context`."""
    if theme not in _PAPERS:
        raise UsageError(f"theme = {theme!r}: no such theme{did_you_mean(theme, _PAPERS)}")
    ink, muted, rule, paper = (_PAPERS[theme][name] for name in ("ink", "muted", "rule", "paper"))
    colors = [color.format(ink=ink) for color in _OKABE_ITO]
    if theme == "dark":
        colors[0] = "#3B9BD8"  # Okabe and Ito's blue, lightened: 2.6:1 on dark paper would be too faint.
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": rule,
        "axes.facecolor": paper,
        "axes.grid": True,
        "axes.labelcolor": muted,
        "axes.labelsize": 9,
        "axes.linewidth": 0.8,
        "axes.prop_cycle": cycler(color=colors),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": ink,
        "axes.titlelocation": "left",
        "axes.titlepad": 5,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titley": 1.0,  # at a fixed place: searching for one costs more than drawing the panel
        "figure.dpi": 100,
        "figure.facecolor": paper,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "grid.color": rule,
        "grid.linewidth": 0.6,
        "hatch.color": paper,
        "hatch.linewidth": 0.9,
        "image.cmap": "cividis",
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "savefig.facecolor": paper,
        "text.color": ink,
        "xtick.color": rule,
        "xtick.labelcolor": muted,
        "xtick.labelsize": 8.5,
        "xtick.minor.visible": False,
        "ytick.color": rule,
        "ytick.labelcolor": muted,
        "ytick.labelsize": 8.5,
        "ytick.minor.visible": False,
    }


def color(name: str) -> str:
    """A theme color in force: "ink", "muted", "rule" or "paper"."""
    keys = {
        "ink": "text.color",
        "muted": "axes.labelcolor",
        "rule": "grid.color",
        "paper": "figure.facecolor",
    }
    return mpl.rcParams[keys[name]]


# --- the same on other paper ------------------------------------------------------------------------

# Of figures that are being built, the innermost last: their own colors on light paper, and what these are on dark.
_SHADES: list[dict[RGB, RGB]] = []


@contextlib.contextmanager
def own_shades() -> Iterator[dict[RGB, RGB]]:
    """While a figure is built: its steps of cividis on light paper, and what these are on dark."""
    _SHADES.append({})
    try:
        yield _SHADES[-1]
    finally:
        own = _SHADES.pop()
        if _SHADES:
            _SHADES[-1].update(own)


def shades(light: Sequence[float], dark: Sequence[float]) -> list[RGBA]:
    """Steps of cividis, in the order of what they stand for: at these places on light paper, at those on dark."""
    steps = [[mpl.colormaps["cividis"](place) for place in places] for places in (light, dark)]
    if _SHADES:
        _SHADES[-1].update((one[:3], two[:3]) for one, two in zip(*steps, strict=True))
    return steps[mpl.colors.to_rgb(color("paper"))[0] < 0.5]


def counterparts(figure: Figure) -> dict[RGB, RGB]:
    """The colors of a figure on light paper, and what they are on dark."""
    found = {}
    for one, two in zip(*map(_theme_colors, ("light", "dark")), strict=True):
        found[mpl.colors.to_rgb(one)] = mpl.colors.to_rgb(two)
    return found | getattr(figure, "shades", {})


def _theme_colors(theme: str) -> list[str]:
    return [*rc_params(theme)["axes.prop_cycle"].by_key()["color"], *_PAPERS[theme].values()]
