"""Pages' tables that the package writes itself: what can be named in a campaign, and the command line.

`<!-- generated: optimizers -->` in a page stands for the table of that name. What the package has and the reference
lacks is a warning, and so an error under `sphinx-build -W`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import typer
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

import gradsim
from gradsim.cli import app as command_line
from gradsim.listing import listing

sys.path.append(str(Path(__file__).resolve().parents[2] / "reports" / "activations"))

logger = logging.getLogger(__name__)
PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
# `gradsim.report` is a function that stands for its module, and documented as such.
ELSEWHERE = {"gradsim.report": "gradsim.report.report", "gradsim.__version__": None}


def setup(app: Sphinx) -> dict[str, object]:
    """What Sphinx calls."""
    app.connect("env-get-outdated", _written_by_the_package)
    app.connect("source-read", _fill)
    app.connect("env-check-consistency", _complete)
    return {"parallel_read_safe": True, "version": "1"}


def _written_by_the_package(app: Sphinx, env: object, *changes: set[str]) -> list[str]:
    """Pages to be read anew in every build, whether their source changed or not."""
    return [page for page in env.found_docs if page.startswith("reference/")]


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = PLACE.sub(lambda found: GENERATED[found[1]](), source[0])


def _complete(app: Sphinx, env: object) -> None:
    """Warn of every public name that no page documents."""
    known = {name for name, kind, *_ in env.get_domain("py").get_objects()}
    for module in ["gradsim", *(f"gradsim.{name}" for name in gradsim._MODULES)]:
        for name in getattr(importlib.import_module(module), "__all__", ()):
            path = ELSEWHERE.get(f"{module}.{name}", f"{module}.{name}")
            if path is not None and path not in known and not inspect.ismodule(getattr(gradsim, name, None)):
                logger.warning("%s is public, and no page documents it", path)


# --- tables ---------------------------------------------------------------------------------------


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _cell(text: object) -> str:
    """Text in a Markdown table, standing for itself."""
    return re.sub(r"([\\|*_`<\[\]#~$])", r"\\\1", " ".join(str(text).split()))


def _code(text: str) -> str:
    return f"`{text}`".replace("|", r"\|")


def _math(latex: str) -> str:
    """A formula as MathML, which browsers draw without a script; of several assignments each on a line."""
    lines = re.split(r",\\; ?(?=.*\\leftarrow)", latex)
    return "<br>".join(" ".join(tex2mathml(line).split()).replace("|", "&#124;") for line in lines)


def _name(row: dict[str, object]) -> str:
    also = ", ".join(map(_code, row["aliases"]))
    return _code(row["name"]) + (f"<br>also {also}" if also else "")


def _parameters(row: dict[str, object], leave_out: tuple[str, ...] = ()) -> str:
    shown = [text for text in row["parameters"] if text.partition("=")[0] not in leave_out]
    return ", ".join(map(_code, shown))


def _formulas(kind: str, leave_out: tuple[str, ...] = ()) -> str:
    rows = [
        [_name(row), _math(row["formula"]), _parameters(row, leave_out), _cell(row["reference"])]
        for row in listing(kind)
    ]
    return _table(["name", "formula", "parameters", "source"], rows)


def _optimizers() -> str:
    from gradsim.optimizers import COMMON

    return _formulas("optimizers", tuple(COMMON))


def _datasets() -> str:
    rows = [[_code(d["name"]), d["task"], _parameters(d), _cell(d["description"])] for d in listing("datasets")]
    return _table(["name", "task", "parameters", "what it is"], rows)


def _activations() -> str:
    from mathml import mathml

    rows = listing("activations")
    parts = []
    for family in dict.fromkeys(row["family"] for row in rows):
        members = [row for row in rows if row["family"] == family]
        parts.append(f"\n## {family.replace('_', ' ').capitalize()}\n")
        cells = [
            [
                _name(row),
                mathml(row["formula"]).replace("|", "&#124;"),
                ", ".join(_code(_parameter(p)) for p in row["parameters"]),
                row["saturates"],
                _cell(row["reference"]),
            ]
            for row in members
        ]
        parts.append(_table(["name", "formula", "parameters", "saturates", "source"], cells))
    return "\n".join(parts)


def _parameter(p: dict[str, object]) -> str:
    return f"{p['name']}={p['default']:g}" + ("" if p["role"] == "fixed" else f" ({p['role']})")


def _members(module: str) -> str:
    """The public functions and classes of a module: a line each, then each in full."""
    home = importlib.import_module(f"gradsim.{module}")
    names = [name for name in home.__all__ if callable(getattr(home, name))]
    lines = [f".. currentmodule:: gradsim.{module}", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {name}" for name in names]
    for name in names:
        lines += ["", f".. {_directive(getattr(home, name))}:: {name}"]
    return "\n".join(["```{eval-rst}", *lines, "```", ""])


def _directive(member: object) -> str:
    if not inspect.isclass(member):
        return "autofunction"
    return "autoexception" if issubclass(member, Exception) else "autoclass"


# --- command line ---------------------------------------------------------------------------------


def _commands() -> str:
    group = typer.main.get_command(command_line)
    return "\n".join(_command(name, command) for name, command in group.commands.items())


def _command(name: str, command: typer.core.TyperCommand) -> str:
    arguments, options = [], []
    for parameter in command.params:
        about = _markup(getattr(parameter, "help", None) or "")
        if parameter.param_type_name == "argument":
            arguments.append((parameter, about))
        elif not getattr(parameter, "hidden", False):
            options.append([_flags(parameter), about])
    usage = " ".join(["gradsim", name, "[OPTIONS]", *(_placeholder(p) for p, _ in arguments)])
    rows = [[_code(_placeholder(p)), about] for p, about in arguments] + options
    table = _table(["argument or option", "meaning"], rows) if rows else ""
    return f"\n## `gradsim {name}`\n\n{_markup(inspect.cleandoc(command.help or ''))}\n\n```text\n{usage}\n```\n{table}"


def _placeholder(argument: object) -> str:
    shown = argument.metavar or argument.name.upper()
    shown += "..." if argument.nargs != 1 else ""
    return shown if argument.required else f"[{shown}]"


def _flags(option: object) -> str:
    value = "" if option.is_flag else f" {option.metavar or _kind(option)}"
    return ", ".join(_code(flag + (value if flag.startswith("--") else "")) for flag in option.opts)


def _kind(option: object) -> str:
    """What an option takes, in a word."""
    descriptor = getattr(option, "type_descriptor", None)
    if descriptor is None:  # Typer before 0.29
        return option.type.name.upper()
    return {"Path": "PATH", "int": "N", "float": "NUMBER"}.get(descriptor.annotation.__name__, "TEXT")


def _markup(text: str) -> str:
    """Rich's bold, in which commands stand, as code."""
    text = re.sub(r"\[/?(?:dim|italic)[^\]]*\]", "", text)
    return re.sub(r"\[bold[^\]]*\](.+?)\[/(?:bold[^\]]*)?\]", r"`\1`", text, flags=re.DOTALL)


GENERATED = {
    "activations": _activations,
    "commands": _commands,
    "datasets": _datasets,
    "initializers": lambda: _formulas("initializers"),
    "losses": lambda: _formulas("losses"),
    "optimizers": _optimizers,
    "schedules": lambda: _formulas("schedules"),
    **{module: functools.partial(_members, module) for module in ("analysis", "plots", "theory")},
}
