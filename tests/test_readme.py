"""The two READMEs: the tree, the links, the commands and the keys that they name are those that exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from handful import parameters

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
PACKAGES = ("handful", "tasks", "flows", "benchmarks")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCED.findall(page.read_text(encoding="utf-8")) if kind == language]


def tree(page: Path) -> dict[str, str]:
    """The paths of the last text block with their phrases; a deeper indent lies in the folder above it."""
    found, folders = {}, [""]
    for line in blocks(page, "text")[-1].splitlines():
        indent, name, phrase = re.fullmatch(r"( *)(\S+) {2,}(\S.*)", line).groups()
        depth = len(indent) // 2
        folders[depth + 1 :] = [f"{folders[depth]}{name}"]
        found[folders[depth + 1]] = phrase
    return found


def source(path: str) -> Path:
    return ROOT / path / "__init__.py" if path.endswith("/") else ROOT / path


def modules() -> set[str]:
    """What the tree has to name: every module of the packages, and each package by its folder."""
    paths = [path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    return {path.removesuffix("__init__.py") for path in paths}


def test_each_phrase_of_the_tree_is_the_first_line_of_the_docstring() -> None:
    shown = tree(ENGLISH)
    first_lines = {
        path: ast.get_docstring(ast.parse(source(path).read_text(encoding="utf-8"))).splitlines()[0]
        for path in shown.keys() & modules()
    }
    assert {path: shown[path] for path in first_lines} == first_lines


@PAGES
def test_the_tree_names_every_module_and_nothing_that_is_missing(page: Path) -> None:
    shown = tree(page).keys()
    assert modules() <= shown
    assert [path for path in shown if not (ROOT / path).exists()] == []


@PAGES
def test_every_relative_link_and_picture_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    relative = [link for link in links if "://" not in link]
    assert "docs/report.png" in relative
    assert [link for link in relative if not (ROOT / link).exists()] == []


def without_remarks(block: str) -> str:
    return re.sub(r"\s*# .*", "", block)


@pytest.mark.parametrize("language", ["sh", "yaml", "python"])
def test_both_readmes_show_the_same_commands(language: str) -> None:
    english, chinese = ([without_remarks(block) for block in blocks(page, language)] for page in (ENGLISH, CHINESE))
    assert english
    assert english == chinese


def test_both_readmes_name_the_same_keys_and_files_and_show_the_same_output() -> None:
    prose = (FENCED.sub("", page.read_text(encoding="utf-8")) for page in (ENGLISH, CHINESE))
    english, chinese = (sorted(set(re.findall(r"`([^`\n]+)`", text))) for text in prose)
    assert english == chinese
    assert blocks(ENGLISH, "text")[:-1] == blocks(CHINESE, "text")[:-1]
    assert list(tree(ENGLISH)) == list(tree(CHINESE))


def test_every_target_and_module_that_is_called_exists() -> None:
    page = ENGLISH.read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make (\w+)", page, re.MULTILINE)) == targets
    called = re.findall(r"python -m (\w+)\.(\w+)", page)
    assert called
    assert [names for names in called if not ROOT.joinpath(*names).with_suffix(".py").is_file()] == []


def test_the_example_of_own_data_is_accepted() -> None:
    example = blocks(ENGLISH, "yaml")[0]
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | yaml.safe_load(example)
    accepted = parameters.parse(values, "the example")
    assert (accepted.raw, accepted.ingest.shots) == ("data/raw/banking77", 8)


@PAGES
def test_the_example_of_further_operations_is_accepted(page: Path) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    example = yaml.safe_load(blocks(page, "yaml")[1])["augment"]
    accepted = parameters.parse(values | {"augment": values["augment"] | example}, "the example")
    assert [operation.kind for operation in accepted.augment.operations] == [
        "segment_recombination",
        "markov_generation",
        "back_translation",
        "language_model_generation",
    ]


def test_every_choice_of_the_schema_is_named() -> None:
    schema = str(parameters.Parameters.model_json_schema())
    kinds = set(re.findall(r"'const': '(\w+)'", schema)) | {
        kind for listed in re.findall(r"'enum': \[([^]]+)\]", schema) for kind in re.findall(r"'(\w+)'", listed)
    }
    page = ENGLISH.read_text(encoding="utf-8")
    named = set(
        re.findall(r"\w+", " ".join([*re.findall(r"`([^`\n]+)`", FENCED.sub("", page)), *blocks(ENGLISH, "yaml")]))
    )
    # The encoder of texts has no other choice, and stands in params.yaml.
    assert kinds - named == {"pretrained"}


def test_the_output_that_is_shown_has_the_lines_that_a_run_ends_with() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    metas = [stage.get("meta", {}) for stage in stages]
    said = [*(meta.get("announce", {}) for meta in metas), *(meta.get("headline", {}) for meta in metas)]
    names = [re.split(r" {2,}", line)[0] for line in blocks(ENGLISH, "text")[0].splitlines()]
    assert names == [name for part in said for name in part]
