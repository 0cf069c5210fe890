"""The house's order: who may know whom, and how large a thing may grow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("handful", "tasks", "flows", "benchmarks")
MOST_LINES = {"handful": 300, "benchmarks": 300, "tasks": 120, "flows": 80}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("handful", {"tasks", "flows", "benchmarks", "dvc", "prefect"}),
        ("tasks", {"flows", "benchmarks", "dvc", "prefect"}),
        ("flows", {"tasks", "benchmarks", "torch", "great_expectations"}),
        ("benchmarks", {"flows", "dvc", "prefect"}),
    ],
)
def test_nothing_points_back(package: str, forbidden: set[str]) -> None:
    for path in sources(package):
        assert not roots(path) & forbidden, path


def test_the_orchestration_knows_the_registry_and_how_ray_is_found_alone_of_the_library() -> None:
    allowed = ("handful.registry", "handful.errors", "handful.address")
    for path in sources("flows"):
        known = {name for name in imported(path) if name.startswith("handful.")}
        assert all(name.startswith(allowed) for name in known), path


def test_stages_never_import_each_other() -> None:
    stages = {path.stem for path in sources("tasks")} - {"__init__"}
    for path in sources("tasks"):
        others = {f"tasks.{stage}" for stage in stages - {path.stem}}
        assert not imported(path) & others, path


def test_text_and_image_do_not_know_each_other() -> None:
    for path in sources("handful/text"):
        assert not any(name.startswith("handful.image") for name in imported(path)), path
    for path in sources("handful/image"):
        assert not any(name.startswith("handful.text") for name in imported(path)), path


def test_both_modalities_have_the_files_that_the_stages_ask_for() -> None:
    for name in ("content", "backbone", "augmentation", "student", "prediction"):
        for modality in ("text", "image"):
            assert (ROOT / "handful" / modality / f"{name}.py").is_file()


def test_predicting_loads_nothing_that_only_training_needs() -> None:
    code = (
        "import sys, handful.student, handful.cli, handful.text.prediction, handful.image.prediction;"
        "training = {'torch','transformers','pandas','pydantic','sklearn','scipy','dvc','prefect','yaml'};"
        "print(sorted(training & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_prefect_is_loaded_by_no_stage() -> None:
    stages = ", ".join(f"tasks.{path.stem}" for path in sources("tasks") if path.stem != "__init__")
    code = f"import sys, {stages}; print('prefect' in sys.modules, 'dvc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_the_commands_load_prefect_only_after_they_have_set_what_it_reads() -> None:
    code = "import sys, flows.__main__; print('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_stage_of_the_graph_is_a_module_and_every_module_a_stage() -> None:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert set(graph["stages"]) == {path.stem for path in sources("tasks")} - {"__init__"}


def test_no_stored_format_can_run_code() -> None:
    for package in PACKAGES:
        for path in sources(package):
            assert not roots(path) & {"pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}, path


@pytest.mark.parametrize("package", PACKAGES)
def test_files_and_functions_stay_small(package: str) -> None:
    lengths = []
    for path in sources(package):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MOST_LINES[package], f"{path} is too long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lengths.append((body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0)
                assert lengths[-1] <= 50, f"{path}: {node.name} is too long"
    lengths.sort()
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 30


def test_every_file_begins_with_its_phrase() -> None:
    for package in PACKAGES:
        for path in sources(package):
            first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
            assert first, f"{path} has no docstring"
            assert first[0].endswith("."), f"{path} does not begin with a sentence"
