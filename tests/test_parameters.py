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


@pytest.mark.parametrize("template", ["hello", "{label} or {label}", "{label} {name}", "{label} }", "{{label}"])
def test_a_template_that_does_not_hold_the_label_once_and_no_other_braces_is_refused(
    values: dict, template: str
) -> None:
    values["augment"]["operations"] = [{"kind": "label_templates", "templates": [template]}]
    with pytest.raises(ParameterError, match="exactly once"):
        parse(values, "params.yaml")


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_what_is_infinite_or_no_number_is_refused(values: dict, number: float) -> None:
    values["distill"]["temperature"] = number
    values["select"]["filter"] = [{"column": "size", "minimum": None, "maximum": number}]
    with pytest.raises(ParameterError, match="2 mistakes") as caught:
        parse(values, "params.yaml")
    assert "distill.temperature: Input should be a finite number" in str(caught.value)


def test_bounds_between_which_nothing_lies_are_refused_with_both_values(values: dict) -> None:
    values["validate"] |= {"minimum_size": 9, "maximum_size": 8}
    values["select"]["filter"] = [{"column": "quality", "minimum": 0.5, "maximum": 0.25}]
    with pytest.raises(ParameterError) as caught:
        parse(values, "params.yaml")
    assert "minimum_size is 9 and maximum_size 8" in str(caught.value)
    assert "select.filter.0: Value error, minimum is 0.5 and maximum 0.25" in str(caught.value)


def test_equal_bounds_are_in_order(values: dict) -> None:
    values["validate"] |= {"minimum_size": 8, "maximum_size": 8}
    values["select"]["filter"] = [{"column": "quality", "minimum": 0.5, "maximum": 0.5}]
    assert parse(values, "params.yaml").select.filter[0].ends == (0.5, 0.5)


def test_opinions_that_leave_the_head_no_say_are_refused(values: dict) -> None:
    values["pretrain_transfer"]["candidates"][0]["self_training"] |= {"surface_share": 0.5, "nearest_share": 0.5}
    with pytest.raises(ParameterError, match="surface_share and nearest_share must add up to less than 1"):
        parse(values, "params.yaml")


def test_a_diffusion_that_would_spread_for_thousands_of_steps_is_refused(values: dict) -> None:
    values["pretrain_transfer"]["candidates"][0]["self_training"]["diffusion"] = 0.999
    with pytest.raises(ParameterError, match="diffusion"):
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
