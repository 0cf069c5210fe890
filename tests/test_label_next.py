"""The benchmark of what to label next: a person is simulated, and strategies are compared with a random draw."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import label_next
from benchmarks.label_next import Plan, Rows, labels_needed, simulate, table
from handful.errors import DataError
from handful.labelling import STRATEGIES

PLAN = Plan(start=2, rounds=3, batch=6, inverse_regularisation=10.0)


def clusters(rows: int) -> Rows:
    """Three classes of unit vectors that overlap."""
    random = np.random.default_rng(0)
    codes = np.arange(rows) % 3
    points = (0.6 * random.normal(size=(rows, 8)) + np.eye(8)[codes]).astype(np.float32)
    return Rows(points / np.linalg.norm(points, axis=1, keepdims=True), np.array(["a", "b", "c"])[codes])


@pytest.mark.parametrize("kind", sorted(STRATEGIES))
def test_a_simulation_has_one_accuracy_before_each_round_and_one_at_the_end(kind: str) -> None:
    accuracies = list(simulate(clusters(180), PLAN, kind, 0))
    assert len(accuracies) == len(PLAN.sizes(3)) == 4
    assert accuracies == list(simulate(clusters(180), PLAN, kind, 0))
    # Before the first round nobody has chosen anything yet.
    assert accuracies[0] == next(simulate(clusters(180), PLAN, "random", 0))
    assert all(0.4 < accuracy <= 1 for accuracy in accuracies)


def test_more_labels_than_there_are_rows_cannot_be_asked_for() -> None:
    with pytest.raises(DataError, match="fewer than 3 × 60"):
        list(simulate(clusters(180), Plan(2, 3, 60, 10.0), "random", 0))


def test_the_labels_needed_are_read_off_between_the_points() -> None:
    assert labels_needed([10, 20, 30], np.array([0.5, 0.6, 0.7]), 0.65) == pytest.approx(25)
    assert labels_needed([10, 20, 30], np.array([0.5, 0.6, 0.7]), 0.5) == 10
    assert labels_needed([10, 20, 30], np.array([0.5, 0.6, 0.7]), 0.71) is None


def test_the_table_compares_each_strategy_with_the_random_draw_of_the_same_seed() -> None:
    curves = {"random": np.array([[0.5, 0.6], [0.4, 0.6]]), "margin": np.array([[0.5, 0.75], [0.4, 0.65]])}
    shown = table("toy", [6, 12], curves)
    assert "| toy: labels | 6 | 12 | over random | labels for 60.0 |" in shown
    assert "| random | 45.0 | 60.0 | +0.0 ± 0.0 | 12 |" in shown
    assert "| margin | 45.0 | 70.0 | +10.0 ± 5.0 | 10 |" in shown


def test_the_command_prints_a_table_and_never_opens_the_test_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subjects = {"parcel": ["parcel", "box", "delivery"], "password": ["password", "login", "account"]}
    texts = [
        (f"{word} number {n} please", label) for label, words in subjects.items() for word in words for n in range(9)
    ]
    pd.DataFrame(texts, columns=["text", "label"]).to_parquet(tmp_path / "train.parquet")
    # Its columns are looked at, as in every data folder; a row of it would not survive being read as a text.
    pd.DataFrame({"text": [b"\xff"], "label": [b"\xff"]}).to_parquet(tmp_path / "test.parquet")
    label_next.main(["--data", str(tmp_path), "--start", "2", "--rounds", "2", "--batch", "4", "--seeds", "2"])
    shown = capsys.readouterr().out
    assert f"| {tmp_path.name}: labels | 4 | 8 | 12 |" in shown
    assert all(f"| {kind} |" in shown for kind in STRATEGIES)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no data folder"):
        label_next.main(
            ["--data", str(tmp_path / "none"), "--start", "2", "--rounds", "2", "--batch", "4", "--seeds", "2"]
        )
