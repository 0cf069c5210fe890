"""The comparison against values computed by hand, and the verdict against its rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from handful.comparison import Comparison, Rival, compare, decide
from handful.parameters.learning import Evaluate

LABELS = st.sampled_from("abc")
ROWS = st.lists(st.tuples(LABELS, LABELS, LABELS), min_size=1, max_size=40)


def parameters(tolerance: float = 0.02, samples: int = 400) -> Evaluate:
    values = {"bootstrap_samples": samples, "confidence_level": 0.95, "calibration_bins": 10, "latency_rows": 1}
    return Evaluate.model_validate({**values, "promotion": {"tolerance": tolerance}})


def compared(truth: str, guesses: str, reference: str, seed: int = 0) -> Comparison:
    return compare(list(truth), np.array(list(guesses)), np.array(list(reference)), parameters(), seed)


def verdict(gained: int, lost: int, same: int = 300, tolerance: float = 0.02) -> str:
    """The decision where so many rows are gained and lost, and `same` are right for both."""
    truth = "a" * (gained + lost + same)
    guesses, reference = "a" * gained + "b" * lost + "a" * same, "b" * gained + "a" * lost + "a" * same
    found = decide(Rival("v3", None, None, False), compared(truth, guesses, reference), parameters(tolerance))
    return str(found["decision"])


def test_the_difference_counts_rows_won_less_rows_lost() -> None:
    found = compared("aaaaaaaaaa", "aaaaaaaabb", "aaaaabbbab")
    assert (found.rows_gained, found.rows_lost) == (3, 1)
    assert found.difference == pytest.approx((3 - 1) / 10)
    assert found.interval[0] < 0.2 < found.interval[1]
    assert found.gain() == {"accuracy": found.difference, "interval": found.interval}


def test_the_test_is_the_exact_binomial_one() -> None:
    # Of 4 rows 3 or more, or 1 or fewer: (1 + 4 + 4 + 1) / 16. Of 6 rows all or none: 2 / 64.
    assert compared("aaaaaaaaaa", "aaaaaaaabb", "aaaaabbbab").mcnemar_p == pytest.approx(10 / 16)
    assert compared("aaaaaaaa", "aaaaaaaa", "bbbbbbaa").mcnemar_p == pytest.approx(2 / 64)


def test_nothing_is_gained_over_oneself() -> None:
    found = compared("aabb", "abab", "abab")
    assert (found.difference, found.interval, found.macro_f1_interval) == (0.0, [0.0, 0.0], [0.0, 0.0])
    assert found.mcnemar_p == 1.0


@given(ROWS)
def test_changing_sides_changes_the_sign_alone(rows: list[tuple[str, str, str]]) -> None:
    truth, first, second = ("".join(column) for column in zip(*rows, strict=True))
    there, back = compared(truth, first, second), compared(truth, second, first)
    assert there.difference == -back.difference
    assert there.macro_f1_difference == pytest.approx(-back.macro_f1_difference)
    assert (there.rows_gained, there.mcnemar_p) == (back.rows_lost, back.mcnemar_p)


@given(ROWS)
def test_the_difference_in_f1_agrees_with_scikit_learn(rows: list[tuple[str, str, str]]) -> None:
    truth, first, second = (list(column) for column in zip(*rows, strict=True))
    scores = [f1_score(truth, guesses, average="macro", zero_division=0) for guesses in (first, second)]
    assert compared("".join(truth), "".join(first), "".join(second)).macro_f1_difference == pytest.approx(
        scores[0] - scores[1]
    )


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    first, again, other = (compared("aabbc" * 9, "aabac" * 9, "abbbc" * 9, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.interval != other.interval


def test_the_interval_is_as_wide_as_theory_says() -> None:
    # The standard error of a mean of +1, -1 and 0 over n rows; the normal interval is 1.96 of them to each side.
    found = compared("a" * 1000, "a" * 100 + "b" * 100 + "a" * 800, "b" * 100 + "a" * 900)
    error = np.sqrt(0.2 / 1000)
    assert found.interval == pytest.approx([-1.96 * error, 1.96 * error], abs=0.2 * error)


@pytest.mark.parametrize(
    ("gained", "lost", "decision"),
    [
        (0, 0, "promote"),
        (30, 5, "promote"),
        (3, 2, "promote"),
        (40, 40, "keep"),  # as good, but too few rows to be sure of it
        (5, 30, "keep"),
        (0, 6, "keep"),
    ],
)
def test_a_challenger_is_promoted_where_it_is_surely_no_worse(gained: int, lost: int, decision: str) -> None:
    assert verdict(gained, lost) == decision


def test_a_clearly_worse_challenger_is_kept_out_however_wide_the_tolerance() -> None:
    assert verdict(0, 6, tolerance=0.5) == "keep"
    assert verdict(1, 6, tolerance=0.5) == "promote"


def test_truly_worse_challengers_are_seldom_promoted() -> None:
    # 400 rows, 10 % gained and 12 % lost: worse by the whole tolerance of two points.
    generator = np.random.default_rng(0)
    draws = generator.multinomial(400, [0.10, 0.12, 0.78], size=200)
    promoted = [verdict(int(gained), int(lost), int(same)) == "promote" for gained, lost, same in draws]
    assert np.mean(promoted) < 0.06


def test_the_first_student_and_the_same_files_need_no_comparison() -> None:
    first = decide(None, None, parameters())
    assert first["decision"] == "first"
    assert set(first) - {"decision", "reason"} == set(Comparison.__dataclass_fields__)
    same = decide(Rival("v3", None, None, True), compared("ab", "ab", "ab"), parameters())
    assert same["decision"] == "keep"


def test_what_hinders_a_comparison_is_the_reason_and_its_numbers_are_left_out() -> None:
    found = decide(Rival("v3", None, "Other rows.", False), compared("ab", "ab", "aa"), parameters())
    assert (found["decision"], found["reason"], found["difference"]) == ("not comparable", "Other rows.", None)
