"""The schema of params.yaml, and the parameter files that are shipped."""

from pathlib import Path

import pytest
import yaml

from handful.errors import ParameterError
from handful.parameters import Parameters, parse, read

ROOT = Path(__file__).parents[1]


@pytest.fixture
def values() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["params.yaml", "params.image.yaml"])
def test_the_shipped_parameters_are_valid(name: str) -> None:
    assert isinstance(read(ROOT / name), Parameters)


def test_all_mistakes_are_listed_at_once_with_key_rule_and_value(values: dict) -> None:
    values["seeed"] = 1
    values["validate"]["minimum_rows_per_class"] = 1
    values["distill"]["temperature"] = -2
    del values["evaluate"]["latency_rows"]
    with pytest.raises(ParameterError) as caught:
        parse(values, "params.yaml")
    message = str(caught.value)
    assert "4 mistakes" in message
    for expected in (
        "seeed",
        "validate.minimum_rows_per_class",
        "got 1",
        "distill.temperature",
        "got -2",
        "evaluate.latency_rows",
    ):
        assert expected in message


def test_an_operation_of_the_other_modality_is_refused(values: dict) -> None:
    values["augment"]["operations"] = [{"kind": "rotation", "strength": 0.5}]
    with pytest.raises(ParameterError, match=r"augment.operations\[0\].*rotation"):
        parse(values, "params.yaml")


def test_an_unknown_kind_names_the_kinds_that_exist(values: dict) -> None:
    values["select"]["selection"] = {"kind": "best"}
    with pytest.raises(ParameterError, match="facility_location"):
        parse(values, "params.yaml")


def test_one_row_per_class_is_refused_before_anything_is_drawn(values: dict) -> None:
    values["ingest"]["shots"] = 1
    with pytest.raises(ParameterError, match=r"ingest\.shots"):
        parse(values, "params.yaml")


def test_a_template_without_the_label_is_refused(values: dict) -> None:
    values["augment"]["operations"] = [{"kind": "label_templates", "templates": ["hello"]}]
    with pytest.raises(ParameterError, match="exactly once"):
        parse(values, "params.yaml")


def test_no_key_has_a_default_in_code(values: dict) -> None:
    def keys(part: object, path: tuple = ()) -> list[tuple]:
        return [(*path, key) for key in part] + [
            deeper for key, value in part.items() if isinstance(value, dict) for deeper in keys(value, (*path, key))
        ]

    for path in keys(values):
        changed = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        section = changed
        for key in path[:-1]:
            section = section[key]
        del section[path[-1]]
        with pytest.raises(ParameterError):
            parse(changed, "params.yaml")


def test_parameters_cannot_be_changed() -> None:
    parameters = read(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        parameters.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize("content", [b"modality: [", b"\xff\xfe", b"", b"just a text"])
def test_a_file_that_is_no_parameter_file_is_said_to_be_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ParameterError, match=r"params\.yaml"):
        read(tmp_path / "params.yaml")


def test_a_missing_parameter_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"nowhere\.yaml"):
        read(tmp_path / "nowhere.yaml")
