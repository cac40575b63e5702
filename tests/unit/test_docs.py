"""What the documents say is there, is there."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from taskflow_bootstrap.settings import SECRETS, Settings, variable
from taskflow_cli.app import cli
from taskflow_core import Rate
from taskflow_core.rate_limits import UNITS
from taskflow_http import http_file
from taskflow_http.errors import STATUSES
from taskflow_sqlalchemy.tables import metadata

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / "docs").glob("*.md"),
]
DIAGRAMS = {"flowchart", "sequenceDiagram", "erDiagram", "stateDiagram-v2"}
BLOCKS = ("subgraph ", "alt ", "par ")
# What the tests, the compose file and shells read; no settings of TaskFlow.
NOT_SETTINGS = {"TASKFLOW_COMPLETE", "TASKFLOW_PUBLISH", "TASKFLOW_TEST_SERVERS"}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def fences(text: str) -> Iterator[tuple[str, str]]:
    """The words behind each opening fence, and what is between the fences."""
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match[1].strip(), match[2]


def code(text: str) -> Iterator[str]:
    """Every line of shell in fences, and every span of code in sentences."""
    for words, block in fences(text):
        if words.startswith("sh"):
            yield from block.splitlines()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text_of(document)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(text_of(found)), target


@each_document
def test_every_diagram_is_of_a_kind_that_is_drawn(document: Path) -> None:
    for words, block in fences(text_of(document)):
        if words != "mermaid":
            continue
        assert block.split(maxsplit=1)[0] in DIAGRAMS
        lines = [line.strip() for line in block.splitlines()]
        assert sum(line.startswith(BLOCKS) for line in lines) == lines.count("end")


def test_the_entities_are_the_tables() -> None:
    diagram = next(
        block for _, block in fences(text_of(ROOT / "docs/architecture.md")) if block.startswith("erDiagram")
    )
    drawn = {
        name: re.findall(r"^    \w+ (\w+)", body, re.MULTILINE)
        for name, body in re.findall(r"^  (\w+) \{\n(.*?)^  \}", diagram, re.MULTILINE | re.DOTALL)
    }
    tables = {name: {column.name for column in table.columns} for name, table in metadata.tables.items()}
    assert {name: set(columns) for name, columns in drawn.items()} == tables


@each_document
def test_every_command_is_there(document: Path) -> None:
    for line in code(text_of(document)):
        for words in re.findall(r"(?:^|[\s/(])taskflow ([a-z][^|`;&)…]*)", line):
            check_command(words)


def check_command(words: str) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    for word in shlex.split(words.split(" #", maxsplit=1)[0]):
        if isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, f"taskflow {words}"
            command = found
        elif word.startswith("-") and word != "-":
            options = {
                opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)
            }
            assert word in options, f"{word} in taskflow {words}"


@each_document
def test_every_variable_means_something(document: Path) -> None:
    named = set(re.findall(r"TASKFLOW_[A-Z_]*[A-Z]", text_of(document)))
    secrets = {f"{variable(name)}_FILE" for name in SECRETS}
    assert named <= {*map(variable, Settings.__struct_fields__), *secrets, *NOT_SETTINGS}


def test_every_setting_is_in_the_example_and_in_the_table() -> None:
    settings = {variable(name): name for name in Settings.__struct_fields__}
    example = re.findall(r"^#?(TASKFLOW_[A-Z_]+)=", text_of(ROOT / ".env.example"), re.MULTILINE)
    assert sorted(example) == sorted(settings)
    table = dict(
        re.findall(
            r"^\| `(TASKFLOW_[A-Z_]+)` \| ([^|]+) \|", text_of(ROOT / "docs/operations.md"), re.MULTILINE
        )
    )
    defaults = Settings()
    assert table == {
        name: "none; secret" if field in SECRETS else written(getattr(defaults, field))
        for name, field in settings.items()
    }


def written(value: object) -> str:
    """A default as an operator would write it."""
    if value in ((), ""):
        return "none"
    if isinstance(value, Rate):
        unit = next(name for name, seconds in UNITS.items() if seconds == value.seconds)
        return f"`{value.count}/{unit}`"
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_the_guide_names_every_code() -> None:
    # "conflict" is only ever raised as one of its kinds.
    guide = text_of(ROOT / "docs/api.md")
    assert {code for code in STATUSES if f"`{code}`" not in guide} == {"conflict"}


def test_the_requests_are_those_of_the_generator() -> None:
    assert text_of(ROOT / "docs/api.http") == http_file()


def test_the_readme_embeds_in_ten_lines() -> None:
    (program,) = [block for words, block in fences(text_of(ROOT / "README.md")) if words == "python"]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Write the first note" in done.stdout
