"""The wheel in an environment of its own: who predicts needs nothing that only training needs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from toy_graph import project_repository

import handful
from tests.images import stripes

ROOT = Path(__file__).parents[1]
TRAINING = ["torch", "transformers", "dvc", "prefect", "pandas", "pydantic", "sklearn", "great_expectations", "onnx"]
TEXTS = ["my parcel has a problem", "I forgot the password again", "", "完全不同的语言 🙂"]
PREDICT = (
    "import sys, json, pathlib, handful;"
    "folder, *given = sys.argv[1:];"
    "student = handful.load(folder);"
    "contents = [student.read(line) for line in given];"
    "print(json.dumps([handful.__file__, student.predict(contents), student.predict_proba(contents).tolist()]))"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the project, so that no build folder is left in the working tree."""
    copied, folder = tmp_path_factory.mktemp("project") / "copy", tmp_path_factory.mktemp("wheel")
    project_repository(copied)
    environment = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(copied)]
    done = subprocess.run(build, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that holds the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    installed = folder / "bin" / "python"
    constraints = str(ROOT / "constraints.txt")
    install = [str(installed), "-m", "pip", "install", "--quiet", "--constraint", constraints, str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return installed


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(stripes(number % 2 == 1, 700 + number))
    return [str(path) for path in paths]


def run(arguments: list[str | Path], folder: Path, given: str = "") -> str:
    """What a command prints, started in `folder` with nothing of the project on the path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=folder,
        env=environment,
        input=given.encode("utf-8"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_wheel_holds_the_library_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"handful", f"handful-{handful.__version__}.dist-info"}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "handful").rglob("*.py")}
    assert sources | {"handful/report.html.jinja"} == {name for name in names if name.startswith("handful/")}


def test_nothing_of_what_only_training_needs_is_installed_with_it(python: Path, tmp_path: Path) -> None:
    code = "import sys, importlib.util; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
    assert run([python, "-c", code, *TRAINING, "tasks", "flows", "tests"], tmp_path).strip() == "[]"


@pytest.mark.parametrize("modality", ["text", "image"])
def test_the_command_answers_as_it_does_where_it_was_trained(
    modality: str, python: Path, request: pytest.FixtureRequest, pictures: list[str], tmp_path: Path
) -> None:
    student: Path = request.getfixturevalue(f"{modality}_student")
    given = "\n".join(TEXTS if modality == "text" else pictures) + "\n"
    command = python.parent / "handful"
    here: list[str | Path] = [sys.executable, "-m", "handful.cli"]
    answers = run([command, "predict", student], tmp_path, given)
    assert len(answers.splitlines()) == 4
    assert answers == run([*here, "predict", student], ROOT, given)
    assert run([command, "inspect", student], tmp_path) == run([*here, "inspect", student], ROOT)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_a_program_predicts_as_it_does_where_the_student_was_trained(
    modality: str, python: Path, request: pytest.FixtureRequest, pictures: list[str], tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(f"{modality}_student")
    given = TEXTS if modality == "text" else pictures
    source, labels, probabilities = json.loads(run([python, "-c", PREDICT, folder, *given], tmp_path))
    assert Path(source).is_relative_to(python.parents[1])
    student = handful.load(folder)
    contents = [student.read(line) for line in given]
    assert labels == student.predict(contents)
    assert np.array_equal(np.array(probabilities, np.float32), student.predict_proba(contents))
