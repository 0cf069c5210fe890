"""Latency is measured on one thread, and leaves the process as it was."""

import os
import time

import pytest
import torch

from handful import latency


def test_the_time_of_a_call_is_what_is_measured() -> None:
    measured = latency.measure(lambda contents: time.sleep(0.004 * len(contents)), ["row"] * 20)
    assert 4 <= measured["milliseconds_per_row"] < 40
    assert 25 < measured["rows_per_second"] <= 250


def test_a_slow_classifier_is_not_asked_five_times() -> None:
    calls = []
    latency.measure(lambda contents: (calls.append(len(contents)), time.sleep(0.05 * len(contents))), ["row"] * 50)
    assert calls.count(50) == 1


def test_torch_has_one_thread_while_it_is_timed_and_its_own_number_afterwards() -> None:
    torch.set_num_threads(2)
    seen = []
    latency.measure(lambda contents: seen.append(torch.get_num_threads()), ["row"] * 3)
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2


def test_the_threads_are_given_back_when_predicting_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError):
        latency.measure(lambda contents: 1 / 0, ["row"])
    assert torch.get_num_threads() == 2
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
