"""What was found is what the student's probabilities say."""

import numpy as np

from handful.findings import confused_pairs, surest_mistakes
from tests.toy_findings import toy

TRUTH = list("aaaabbbc")
GUESSES = list("abbbbaac")
CONFIDENCE = [0.9, 0.6, 0.8, 0.7, 0.9, 0.99, 0.5, 0.9]


def probabilities() -> np.ndarray:
    rows = np.full((8, 3), 0.0)
    for row, (guess, confidence) in enumerate(zip(GUESSES, CONFIDENCE, strict=True)):
        rows[row] = (1 - confidence) / 2
        rows[row, "abc".index(guess)] = confidence
    return rows


def test_the_commonest_confusion_comes_first_with_its_surest_rows() -> None:
    findings = toy(TRUTH, list("abc"), [f"row {n}" for n in range(8)], probabilities())
    first, second = confused_pairs(findings)
    assert (first["true"], first["guessed"], first["rows"], first["of"]) == ("a", "b", 3, 4)
    assert [row["text"] for row in first["examples"]] == ["row 2", "row 3"]
    assert (second["true"], second["guessed"], second["rows"]) == ("b", "a", 2)


def test_the_surest_mistakes_are_wrong_and_sorted() -> None:
    findings = toy(TRUTH, list("abc"), [f"row {n}" for n in range(8)], probabilities())
    assert [row["text"] for row in surest_mistakes(findings)] == ["row 5", "row 2", "row 3", "row 1", "row 6"]


def test_a_student_without_mistakes_has_no_pairs() -> None:
    findings = toy(list("abc"), list("abc"), ["x", "y", "z"], np.eye(3))
    assert confused_pairs(findings) == []
    assert surest_mistakes(findings) == []
