"""What several test files share: one small repository, trained once by `dvc repro` alone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from connections import watch
from filelock import FileLock
from images import stripes
from toy_graph import commit, project_repository

SUBJECTS = {
    "late_parcel": ["parcel", "package", "delivery", "shipment", "order"],
    "forgotten_password": ["password", "login", "account", "sign in", "access"],
    "wrong_invoice": ["invoice", "bill", "charge", "payment", "receipt"],
}
SENTENCES = [
    "my {} has a problem, can you help?",
    "There is something wrong with the {} again.",
    "hello, a question about the {} of last week",
    "why does the {} not work as promised",
    "I have been waiting for an answer on my {} since Monday",
    "please look into the {} today",
]


LINEAR_STUDENT = {
    "kind": "linear",
    "ngrams": 5,
    "features": 65536,
    "static_dimensions": 256,
    "weight_decay": 1e-5,
    "iterations": 60,
}
SECOND_STUDENT = {
    "kind": "shallow_transformer",
    "layers": 2,
    "learning_rate": 1e-4,
    "head_learning_rate": 1e-2,
    "weight_decay": 0.01,
    "epochs": 1,
    "batch_size": 32,
}


@pytest.fixture(scope="session", autouse=True)
def author() -> Iterator[None]:
    """Whose commits and tags these are: git may know nobody on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
        yield


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute as a processor without units for bf16 does, so that numbers can be compared closely."""
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


def write_rows(folder: Path) -> None:
    """A small data set: three classes, 6 labelled rows and 10 test rows each, and 30 pool rows."""
    made = {
        label: [sentence.format(word) for word in words for sentence in SENTENCES] for label, words in SUBJECTS.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, start, stop, labelled in (("train", 0, 6, True), ("test", 6, 16, True), ("unlabelled", 16, 26, False)):
        lines = ["text,label" if labelled else "text"]
        lines += [
            f'"{text}",{label}' if labelled else f'"{text}"'
            for label, texts in made.items()
            for text in texts[start:stop]
        ]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def small_repository(folder: Path) -> Path:
    """The project with a small data set and short training, as a repository of its own."""
    root = project_repository(folder)
    write_rows(root / "data" / "raw" / "small")
    values = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    values["raw"] = "data/raw/small"
    short = {"epochs": 1, "minimum_steps": 4, "steps_per_root": 0.0, "batch_size": 8}
    values["pretrain_transfer"]["candidates"][0] |= short
    values["pretrain_transfer"]["candidates"][0]["self_training"] |= {"minimum_steps": 4}
    values["pretrain_transfer"]["minimum_rows_per_class"] = 0
    values["distill"]["students"][0] |= {"minimum_steps": 50}
    values["distill"]["students"].append(SECOND_STUDENT)
    values["distill"]["transfer_rows"] = 200
    values["evaluate"]["latency_rows"] = 8
    values["ingest"]["near_duplicate_similarity"] = 1.0
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    commit(root)
    return root


def command(root: Path, *arguments: str, check: bool = True, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a Python module in the repository, with the interpreter's folder first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session", autouse=True)
def _own_cache(shared: Path) -> Iterator[None]:
    """Embeddings of tests go to a folder of their own, never to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDFUL_CACHE", str(shared / "cache"))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this run of all tests, whichever of its workers asks."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def watched(shared: Path) -> Path:
    """The folder where it is written down whom the stages of `trained` tried to reach."""
    folder = shared / "watched"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def trained(shared: Path, watched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which `dvc repro` has run, free to ask the hub, where any import of Prefect would have failed.

    One worker makes it, and each has a copy to change.
    """
    root = shared / "trained"
    with FileLock(shared / "trained.lock"):
        if not (root / "data" / "evaluate" / "report.html").exists():
            command(small_repository(root), "dvc", "repro", HF_HUB_OFFLINE="0", **watch(without_prefect(watched)))
    return Path(shutil.copytree(root, tmp_path_factory.mktemp("copy") / "repository", symlinks=True))


def without_prefect(folder: Path) -> Path:
    """A folder for PYTHONPATH in which importing Prefect fails."""
    (folder / "prefect.py").write_text("raise ImportError('Prefect is not to be loaded here')\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def text_student(trained: Path) -> Path:
    """The default student of the small repository."""
    return trained / "data" / "distill" / "student"


@pytest.fixture(scope="session")
def image_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that tells lying from upright stripes."""
    from handful.distillation import save_student
    from handful.image import backbone, student
    from handful.image.parameters import CnnBackbone, CnnStudent
    from handful.training import Examples

    encoder = backbone.load(CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4), seed=0)
    settings = CnnStudent(kind="cnn", channels=4, learning_rate=0.01, weight_decay=0.01, epochs=8, batch_size=16)
    contents = [stripes(row % 2 == 1, row) for row in range(80)]
    targets = np.eye(2, dtype=np.float32)[[row % 2 for row in range(80)]]
    classes = ["lying", "upright"]
    trained = student.train(settings, Examples(contents, targets, np.ones(80, np.float32)), classes, encoder, 0)
    folder = tmp_path_factory.mktemp("image_student")
    save_student(folder, trained, "cnn", "image", classes)
    return folder
