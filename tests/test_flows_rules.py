"""automations.yaml: what it may say, and what it says of its mistakes."""

import re
from pathlib import Path

import pytest

from flows.rules import Rules, read_rules
from flows.server import UpError

ROOT = Path(__file__).parents[1]
WRONG = """blocks:
  webhook/team: {link: "https://example.org"}
  pigeon/team: {}
automations:
  - name: first
    description: ""
    trigger: {expct: [handful.night.stopped]}
    actions: [{type: call-webhook, block: webhook/team, payload: ""}]
  - name: second
    trigger: {expect: [handful.night.stopped], posture: Lying}
    actions: [{type: call-the-boss}, {type: call-webhook}]
    when: never
"""


def read(folder: Path, text: str) -> Rules:
    (folder / "automations.yaml").write_text(text, encoding="utf-8")
    return read_rules(folder)


def test_a_file_in_another_encoding_is_an_error_of_one_paragraph(tmp_path: Path) -> None:
    (tmp_path / "automations.yaml").write_text("blocks: {} # für später", encoding="latin-1")
    with pytest.raises(UpError, match=r"automations\.yaml is not in UTF-8: .*Save it"):
        read_rules(tmp_path)


def test_the_project_itself_has_none(tmp_path: Path) -> None:
    for folder in (ROOT, tmp_path):
        rules = read_rules(folder)
        assert (rules.blocks, rules.automations) == ({}, [])


def test_the_example_in_the_comment_is_accepted(tmp_path: Path) -> None:
    comment, _, _ = (ROOT / "automations.yaml").read_text(encoding="utf-8").partition("\nblocks: {}")
    example = re.sub("^# ", "", comment[comment.index("# blocks:") :], flags=re.MULTILINE)
    rules = read(tmp_path, example)
    assert list(rules.blocks) == ["webhook/team"]
    blocks = [step.block for rule in rules.automations for step in rule.actions]
    assert blocks == ["webhook/team", "slack-webhook/team", "webhook/team", "webhook/team"]
    assert [rule.trigger.expect for rule in rules.automations] == [
        {"handful.night.stopped"},
        {"handful.night.promoted"},
        {"handful.night.*"},
        {"prefect.flow-run.Crashed"},
    ]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UpError) as told:
        read(tmp_path, WRONG)
    said = str(told.value)
    for mistake in (
        r"blocks: .*webhook/team: there is no key 'link'; pigeon/team: No block class",
        r"automations\.0\.trigger: .*there is no key 'expct'",
        r"automations\.1\.description: Field required",
        r"automations\.1\.trigger\.event\.posture: ",
        r"automations\.1\.actions\.0\.action: .*'call-the-boss'",
        r"automations\.1\.actions\.1\.action\.call-webhook\.block_document_id: Field required",
        r"automations\.1\.when: ",
    ):
        assert re.search(mistake, said), mistake


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UpError, match=r"automations\.yaml is not valid YAML"):
        read(tmp_path, "blocks: [")
