"""What a release says of itself agrees: versions, licenses, dependencies, extras, what the archives take in."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import gradsim

ROOT = Path(__file__).parents[1]
PACKAGE = Path(gradsim.__file__).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CITATION = dict(
    re.findall(r"^([\w-]+): *(.+)$", (ROOT / "docs/CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
)
SOURCES = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
# Modules whose packages have other names, or come with a package that is declared.
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
BROUGHT = {
    "llvmlite": "numba",
    "cycler": "matplotlib",
    "fsspec": "s3fs",
    "IPython": None,
}  # None: who has it is in a notebook


def declared(extra: str | None = None) -> set[str]:
    """Names of the packages that the core or an extra asks for."""
    lines = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    return {re.match(r"[\w-]+", line)[0] for line in lines}


def imported() -> set[str]:
    """First names of modules that the package imports, of neither Python nor itself."""
    names = set()
    for text in SOURCES.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"gradsim"}


def test_the_version_is_written_once_and_said_alike():
    here = PROJECT["version"]
    assert gradsim.__version__ == version("gradsim") == here
    assert CITATION["version"] == here
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == here
    assert not [path.name for path, text in SOURCES.items() if here in text]


def test_license_and_authors_are_the_same_everywhere():
    (author,) = (entry["name"] for entry in PROJECT["authors"])
    license_text = (ROOT / PROJECT["license-files"][0]).read_text(encoding="utf-8")
    assert license_text.startswith(f"{PROJECT['license']} License")
    assert author.lower() in license_text.lower()
    assert CITATION["license"] == PROJECT["license"]
    assert f"- name: {author}\n" in (ROOT / "docs/CITATION.cff").read_text(encoding="utf-8")


def test_what_is_imported_is_declared_and_the_other_way_round():
    core, extras = declared(), declared("dask") | declared("explore") | declared("s3") | declared("gcs")
    found = imported()
    missing = {PACKAGES.get(name, name) for name in found - set(BROUGHT)} - core - extras
    assert not missing
    assert {owner for owner in BROUGHT.values() if owner} <= core | extras
    assert core <= {PACKAGES.get(name, name) for name in found}


def test_extras_that_messages_name_are_there():
    named = {name for text in SOURCES.values() for name in re.findall(r"gradsim\[(\w+)\]", text)}
    assert named
    assert named <= set(PROJECT["optional-dependencies"])


def test_archives_take_in_what_they_should():
    """The build leaves out what .gitignore names, also within the package; templates lie there and nowhere else."""
    targets = PYPROJECT["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["packages"] == ["gradsim"]
    assert {"gradsim", "tests", "benchmarks", "reports", "docs", "asv.conf.json"} <= set(targets["sdist"]["include"])
    assert all((ROOT / name).exists() for name in {*targets["sdist"]["include"], PROJECT["readme"]} - {"gradsim"})
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}
    folders = {path.name for path in PACKAGE.rglob("*") if path.is_dir()} - {"__pycache__"}
    assert not folders & ignored
    for name in ("report", "advice"):
        assert any((PACKAGE / name / "templates").glob("*.j2"))


@pytest.mark.parametrize("part", ["dependencies", "optional-dependencies"])
def test_every_dependency_has_a_lower_bound_and_is_asked_for_once(part):
    groups = {"": PROJECT[part]} if part == "dependencies" else PROJECT[part]
    for name, lines in groups.items():
        names = [re.match(r"[\w-]+", line)[0] for line in lines]
        assert len(names) == len(set(names)), name
        assert all(">=" in line or line.startswith("gradsim[") for line in lines), name
    assert not declared("test") & declared()
