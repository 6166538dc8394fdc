"""README and docs: every program in them runs, every campaign can be read, every command is one.

A page is done from top to bottom in an empty directory: its Python blocks in one namespace, its TOML blocks saved under
the name that their first line gives, its `gradsim` commands called. What cannot be done says so in a comment above it,
`<!-- not run: REASON -->` or `<!-- needs: MODULE -->`, and still has to compile, to be read, to be a command.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import tomllib
import types
from pathlib import Path

import pytest
import typer
from formula_help import table_put_back

from gradsim import Campaign
from gradsim.activations import ACTIVATIONS
from gradsim.cli import app
from gradsim.fields import Thresholds

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LANGUAGES = {"python", "toml", "sh", "text"}
# Whole pages whose programs are for machines that are not here.
NOT_RUN = {"docs/cluster.md": "needs a cluster; tests/test_dask.py trains on local workers"}
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"<!-- (not run|needs): (.+?) -->\s*\Z")
COMMAND = re.compile(r"`(gradsim [^`]+)`")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: what it is in, the line of the page that it begins in, and why it is not run, if so."""

    language: str
    text: str
    line: int
    not_run: str
    needs: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, directives left out."""
    source = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(source):
        if fence["info"].startswith("{"):
            continue
        remark = REMARK.search(source[: fence.start()])
        said = {remark[1]: remark[2]} if remark else {}
        reason = said.get("not run", "") or NOT_RUN.get(str(page.relative_to(ROOT)), "")
        line = source.count("\n", 0, fence.start("text"))
        found.append(Block(fence["info"] or "sh", fence["text"], line, reason, said.get("needs", "")))
    return found


def commands(text: str) -> list[list[str]]:
    """The words of each command in a shell block."""
    joined = text.replace("\\\n", " ")
    parts = [part for line in joined.splitlines() for part in re.split(r"\s&&\s", line)]
    return [words for words in (shlex.split(part, comments=True) for part in parts) if words]


def check_command(words: list[str]) -> None:
    """Whether the command line takes these arguments; nothing is run."""
    group = typer.main.get_command(app)
    context = group.make_context("gradsim", list(words))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, rest, parent=context)


def check_other(words: list[str]) -> None:
    """Commands of a shell beside gradsim's own: only those whose parts can be looked for in the tree."""
    program = Path(words[0]).name
    if program in ("pip", "pip3"):
        assert words[1] == "install", words
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for named in re.findall(r"\[(\w+)\]", " ".join(words)):
            assert named in extras, words
    elif program.startswith("python"):
        assert words[1:] == ["-m", "venv", ".venv"] or (ROOT / words[1]).is_file(), words
    else:
        assert program in ("pytest", "sphinx-build"), words


def save_campaign(text: str) -> None:
    """A TOML block: a campaign, and a file if its first line gives a name."""
    named = re.match(r"# (\w+\.toml)\n", text)
    if named:
        Path(named[1]).write_text(text, encoding="utf-8")
        assert Campaign.from_toml(named[1]).runs > 1
    else:
        assert Campaign(**tomllib.loads(text)).runs > 1


@pytest.mark.parametrize("name", NAMES)
def test_programs_run_as_they_stand(name, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    program = types.ModuleType("docs_page")
    monkeypatch.setitem(sys.modules, "docs_page", program)
    with table_put_back():
        for block in blocks(ROOT / name):
            where = f"{name}:{block.line}"
            assert block.language in LANGUAGES, f"{where}: what is {block.language!r}?"
            if block.needs:
                pytest.importorskip(block.needs)
            if block.language == "python":
                code = compile("\n" * block.line + block.text, name, "exec", dont_inherit=True)
                if not block.not_run:
                    exec(code, vars(program))
                continue
            with table_put_back():  # names that a file or a command gives are gone with its process
                if block.language == "toml":
                    save_campaign(block.text)
                elif block.language == "sh" and not block.not_run:
                    run_commands(block, where, cli)


def run_commands(block: Block, where: str, cli) -> None:
    """Call gradsim's commands of a shell block."""
    for words in commands(block.text):
        if words[0] == "gradsim":
            answer = cli(*words[1:])
            assert answer.status == 0, f"{where}: {words}: {answer.err}"


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_commands(name):
    for block in blocks(ROOT / name):
        if block.language == "sh":
            for words in commands(block.text):
                check_command(words[1:]) if Path(words[0]).name == "gradsim" else check_other(words)
    prose = FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    for said in COMMAND.findall(prose):
        check_command(shlex.split(said)[1:])


@pytest.mark.parametrize("words", [["run"], ["run", "a.toml", "--fast"], ["train", "a.toml"], ["status", "a", "b"]])
def test_what_is_no_command_is_noticed(words):
    with pytest.raises(Exception, match=r"(?i)missing|no such|unexpected|got"):
        check_command(words)


def test_reasons_are_reasons():
    """What is not run is little, and says why."""
    reasons = [block.not_run for page in PAGES for block in blocks(page) if block.not_run]
    assert all(len(reason.split()) >= 4 for reason in reasons)
    assert set(NOT_RUN) <= set(NAMES)
    run = [block for page in PAGES for block in blocks(page) if block.language != "text" and not block.not_run]
    assert len(run) > 4 * len(
        [b for page in PAGES if str(page.relative_to(ROOT)) not in NOT_RUN for b in blocks(page) if b.not_run]
    )


def test_readme_has_the_two_commands():
    (first, second) = [b.text.strip() for b in blocks(ROOT / "README.md") if "venv" in b.text]
    assert first == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/gradsim run reports/digits.toml"
    assert second == 'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/pytest'


def test_readme_counts_the_activations():
    assert f"names {len(ACTIVATIONS)} of them" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_shows_the_campaign_of_its_command():
    (toml,) = [block.text for block in blocks(ROOT / "README.md") if block.language == "toml"]
    campaign = Campaign(**tomllib.loads(toml))
    assert campaign.digest == Campaign.from_toml(ROOT / "reports" / "digits.toml").digest
    assert f"{campaign.runs:,} networks" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    prose = FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"https?://|#", target):
            assert (ROOT / name).parent.joinpath(target.partition("#")[0]).exists(), target


def _default(value: object) -> str:
    """A default as the page has it: TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "not given" if value is None else str(value)


def test_every_setting_is_listed_with_its_default():
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| `?([^|]+?)`? \|", page, re.MULTILINE))
    wanted = {}
    for model in (Campaign, Thresholds):
        for name, field in model.model_fields.items():
            default = field.default_factory() if field.default_factory else field.default
            wanted[name] = "see below" if isinstance(default, Thresholds) else _default(default)
    assert listed == wanted


SOURCE = re.compile(r"^\| (\w+)(?: \(([^)]*)\))? \| `(.+?)` \|", re.MULTILINE)


def test_the_sources_are_of_the_formulas_that_there_are():
    def plain(formula: str) -> str:
        return formula.replace(r"\vert", "|").replace(" ", "")  # a bar would end the cell

    rows = SOURCE.findall((ROOT / "docs" / "sources.md").read_text(encoding="utf-8"))
    assert len(rows) > 150
    for name, aliases, formula in rows:
        assert plain(formula) == plain(ACTIVATIONS[name].formula), name
        assert set(filter(None, aliases.split(", "))) <= {*ACTIVATIONS[name].aliases}, name
