"""The command `handful`, used as a person would from a shell."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handful
from tests.images import stripes

ROOT = Path(__file__).parents[1]
TEXTS = ["my parcel has a problem", "I forgot the password again", "the invoice is wrong"]


def run(*arguments: str | Path, given: str | bytes = b"") -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "handful.cli", *map(str, arguments)],
        cwd=ROOT,
        input=given.encode("utf-8") if isinstance(given, str) else given,
        capture_output=True,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def answers(*arguments: str | Path, given: str | bytes) -> list[dict[str, Any]]:
    done = run(*arguments, given=given)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def mistake(*arguments: str | Path, given: str | bytes = b"") -> str:
    """What is said of a mistake: one paragraph, after which nothing was answered."""
    done = run(*arguments, given=given)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("handful: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def copied(text_student: Path, tmp_path: Path) -> Path:
    """A student's folder that a test may damage."""
    return Path(shutil.copytree(text_student, tmp_path / "student"))


def describe(folder: Path, **changes: object) -> None:
    path = folder / "student.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_each_line_of_text_is_answered_by_a_line_of_json(text_student: Path) -> None:
    given = answers("predict", text_student, given="\n".join(TEXTS) + "\n")
    student = handful.load(text_student)
    assert [answer["label"] for answer in given] == student.predict(TEXTS)
    for answer, expected in zip(given, student.predict_proba(TEXTS), strict=True):
        assert list(answer) == ["label", "probability", "probabilities"]
        assert list(answer["probabilities"]) == student.classes_
        assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-5)


def test_probabilities_sum_to_one_and_the_label_is_the_likeliest(text_student: Path) -> None:
    for answer in answers("predict", text_student, given="\n".join([*TEXTS, "?", "完全不同的语言 🙂"])):
        probabilities = answer["probabilities"]
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert answer["label"] == max(probabilities, key=probabilities.__getitem__)
        assert answer["probability"] == probabilities[answer["label"]]


def test_json_lines_give_the_answers_of_plain_lines_and_keep_their_ids(text_student: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": text, "id": f"row {number}", "date": 1} for number, text in enumerate(TEXTS)]
    del rows[1]["id"]
    given = answers("predict", text_student, given="\n".join(json.dumps(row) for row in rows))
    assert [answer.pop("id", None) for answer in given] == ["row 0", None, "row 2"]
    assert given == answers("predict", text_student, given="\n".join(TEXTS))


def test_more_lines_than_are_predicted_at_once_stay_in_order(text_student: Path) -> None:
    lines = [json.dumps({"text": TEXTS[number % 3], "id": number}) for number in range(2500)]
    assert [answer["id"] for answer in answers("predict", text_student, given="\n".join(lines))] == list(range(2500))


def test_who_sends_a_line_and_waits_has_its_answer_before_the_next(text_student: Path) -> None:
    command = [sys.executable, "-m", "handful.cli", "predict", str(text_student)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as asked:
        assert asked.stdin
        assert asked.stdout
        for number, text in enumerate(TEXTS):
            first, second = json.dumps({"text": text, "id": number}).encode("utf-8").split(b",")
            asked.stdin.write(first)  # half of a line is no line yet
            asked.stdin.write(b"," + second + b"\n")
            assert json.loads(asked.stdout.readline())["id"] == number
        asked.stdin.close()
        assert asked.wait() == 0


def test_a_mistake_is_told_with_its_line_after_many_that_were_right(text_student: Path) -> None:
    done = run("predict", text_student, given=b"where is it\n" * 3000 + b"\xff\n")
    assert len(done.stdout.splitlines()) >= 1024
    assert "Line 3001 of the input is not UTF-8" in done.stderr


def test_an_empty_line_is_a_text_and_no_line_has_no_answer(text_student: Path) -> None:
    assert len(answers("predict", text_student, given=f"{TEXTS[0]}\n\n{TEXTS[1]}\n")) == 3
    assert answers("predict", text_student, given="") == []


def test_line_ends_and_the_mark_of_windows_do_not_count(text_student: Path) -> None:
    plain = answers("predict", text_student, given="\n".join(TEXTS))
    assert answers("predict", text_student, given=b"\xef\xbb\xbf" + "\r\n".join(TEXTS).encode()) == plain
    rows = "\n".join(json.dumps({"text": text}) for text in TEXTS)
    assert answers("predict", text_student, given=b"\xef\xbb\xbf" + rows.encode()) == plain


def test_answers_are_utf_8_whatever_the_locale(text_student: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (answer,) = answers("predict", text_student, given='{"text": "我的包裹在哪里", "id": "一"}')
    assert answer["id"] == "一"


def test_half_of_a_surrogate_pair_is_answered_and_its_id_comes_back(text_student: Path) -> None:
    (answer,) = answers("predict", text_student, given=r'{"text": "the parcel \ud83d", "id": "\ud83d"}')
    assert answer["id"] == "\ud83d"
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_the_number_of_threads_does_not_change_the_answers(text_student: Path) -> None:
    several = answers("predict", text_student, given="\n".join(TEXTS))
    assert answers("predict", text_student, "--threads", "1", given="\n".join(TEXTS)) == several


def test_an_unsure_answer_has_an_empty_label_only_when_told_to_abstain(copied: Path) -> None:
    confidences = handful.load(copied).predict_proba(TEXTS).max(axis=1)
    describe(copied, threshold=float(np.sort(confidences)[1]))
    plain = answers("predict", copied, given="\n".join(TEXTS))
    abstaining = answers("predict", copied, "--abstain", given="\n".join(TEXTS))
    unsure = int(confidences.argmin())
    assert [answer["label"] for answer in plain] == handful.load(copied).predict(TEXTS)
    assert [row for row, answer in enumerate(abstaining) if answer["label"] == ""] == [unsure]
    assert abstaining == [
        {**answer, "label": "" if row == unsure else answer["label"]} for row, answer in enumerate(plain)
    ]


def test_image_paths_are_answered_as_lines_and_as_json(image_student: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"a picture {number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        path.write_bytes(stripes(number == 1, 500 + number))
    given = answers("predict", image_student, given="\n".join(map(str, paths)))
    assert [answer["label"] for answer in given] == ["lying", "upright"]
    rows = "\n".join(json.dumps({"image": str(path), "id": path.name}) for path in paths)
    assert answers("predict", image_student, given=rows) == [
        {"id": path.name, **answer} for path, answer in zip(paths, given, strict=True)
    ]


def test_a_missing_and_a_damaged_image_are_named(image_student: Path, tmp_path: Path) -> None:
    (tmp_path / "half.png").write_bytes(stripes(True, 1)[:40])
    assert "none.png" in mistake("predict", image_student, given=str(tmp_path / "none.png"))
    assert "half.png" in mistake("predict", image_student, given=str(tmp_path / "half.png"))


@pytest.mark.parametrize(
    ("third", "found"),
    [
        (b"caf\xe9", "not UTF-8"),
        (b'{"text": "half', "not JSON"),
        (b"plain", "not JSON"),
        (b'{"txt": "a"}', "no key 'text'"),
        (b'["a"]', "no key 'text'"),
        (b'{"text": null}', "None under 'text'"),
        (b'{"text": 5}', "5 under 'text'"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(text_student: Path, third: bytes, found: str) -> None:
    said = mistake("predict", text_student, given=b'{"text": "a"}\n{"text": "b"}\n' + third + b"\n")
    assert "Line 3" in said
    assert found in said


def test_blank_lines_tell_nothing_of_what_the_others_are(text_student: Path) -> None:
    told = answers("predict", text_student, given='\n{"text": "a", "id": 7}\n\n')
    assert [answer["id"] for answer in told] == [7]
    assert len(answers("predict", text_student, given="\na\n\n")) == 3


@pytest.mark.parametrize("line", ["1" * 5000, "[" * 100_000])
def test_a_line_that_only_looks_like_json_is_a_text(text_student: Path, line: str) -> None:
    assert len(answers("predict", text_student, given=f"{line}\na\n")) == 2
    done = run("predict", text_student, given=f'{{"text": "a"}}\n{line}\n')
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Line 2" in done.stderr


def test_a_text_that_comes_in_many_pieces_is_one(text_student: Path) -> None:
    assert len(answers("predict", text_student, given="word " * 100_000 + "\nshort\nand " * 3)) == 7


def test_an_answer_that_finds_no_room_is_said_in_one_paragraph(text_student: Path) -> None:
    command = [sys.executable, "-m", "handful.cli", "predict", str(text_student)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=ROOT, input=b"a\n", stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left on device" in done.stderr


def test_a_folder_without_a_student_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    for folder in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        for command in ("predict", "inspect"):
            said = mistake(command, folder)
            assert str(folder) in said
            assert "student.json" in said


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"format": 3, "modality": "text"}'])
def test_a_damaged_description_is_named(copied: Path, content: bytes) -> None:
    (copied / "student.json").write_bytes(content)
    assert f"{copied / 'student.json'} is damaged" in mistake("inspect", copied)


def test_a_description_that_cannot_be_read_is_named(copied: Path) -> None:
    (copied / "student.json").unlink()
    (copied / "student.json").mkdir()  # whoever runs this as root may read every file
    assert f"{copied / 'student.json'} cannot be read" in mistake("inspect", copied)


@pytest.mark.parametrize("changes", [{"format": 1}, {"format": 99}, {"modality": "sound"}])
def test_a_student_of_another_format_is_refused(copied: Path, changes: dict[str, object]) -> None:
    describe(copied, **changes)
    assert "reads format 3" in mistake("predict", copied, given="a")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"])
def test_a_missing_or_broken_file_of_a_student_is_named(copied: Path, name: str, content: bytes | None) -> None:
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_bytes(content)
    assert str(copied / name) in mistake("predict", copied, given="a")


def test_debug_shows_where_a_mistake_was_found(tmp_path: Path) -> None:
    done = run("predict", "--debug", tmp_path, given="a")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "StudentError" in done.stderr


def test_a_reader_that_has_enough_is_no_error(text_student: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\n".join(TEXTS * 3000), encoding="utf-8")
    command = shlex.join([sys.executable, "-m", "handful.cli", "predict", str(text_student)])
    done = subprocess.run(
        ["bash", "-c", f"{command} < {shlex.quote(str(tmp_path / 'texts'))} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    first, status = done.stdout.splitlines()
    assert json.loads(first)["label"] == handful.load(text_student).predict(TEXTS[:1])[0]
    assert status == "0"
    assert done.stderr == ""


def test_inspect_says_kind_classes_and_the_size_of_each_file(text_student: Path, image_student: Path) -> None:
    for folder, kind in ((text_student, "convolutional student for text"), (image_student, "cnn student for image")):
        said = run("inspect", folder).stdout
        assert kind in said
        assert ", ".join(handful.load(folder).classes_) in said
        description = json.loads((folder / "student.json").read_text(encoding="utf-8"))
        assert f"temperature {description['temperature']:.3f}, threshold {description['threshold']:.3f} below" in said
        for file in folder.iterdir():
            assert f"{file.name}  {file.stat().st_size:,}" in said
        assert f"{sum(file.stat().st_size for file in folder.iterdir()):,} bytes" in said


def test_importing_handful_loads_nothing_heavy() -> None:
    code = "import sys, handful; print(sorted({'numpy', 'onnxruntime', 'tokenizers', 'PIL'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
