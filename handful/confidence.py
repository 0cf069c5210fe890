"""How sure a teacher may be of itself: as sure as it can be shown to be right, and part of the way beyond."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from handful import calibration
from handful.candidates import Start, Trained
from handful.teacher import Teacher

POOL_ROWS = 500  # plenty for a mean
FEWEST_ROWS = 100  # that were not learned; where there are fewer, chance would decide, and all rows are asked


def moderated(trained: Trained, baseline: Teacher, start: Start, accuracy: float | None) -> Teacher:
    """The teacher at the temperature at which it is, on average over the pool, as sure as `expected` allows.

    An encoder that was fine-tuned on few rows is surer than it is right, and the rows that it learned cannot tell by
    how much. Held-out rows can: where cross-validation examined the teacher's kind and the pool then taught it nothing
    more, what they showed is to be expected. Else they show a lesser classifier, such as the probe on the backbone as
    it was, and the teacher's own belief and what others guess are asked, too. The teacher's guesses stay. Without a
    pool the teacher does too. Of the pool those rows are asked that it did not learn from, where there are enough: it
    is surer of the others.

    Args:
        baseline: a probe that has learned the labelled rows alone.
        accuracy: the teacher's kind in cross-validation, if it was examined.
    """
    teacher, every = trained.teacher, np.arange(len(start.pool))
    if not len(every):
        return teacher
    unseen = np.setdiff1d(every, trained.guessed.index)
    drawn = np.random.default_rng(start.seed).permutation(unseen if len(unseen) >= FEWEST_ROWS else every)[:POOL_ROWS]
    contents = [start.pool[row] for row in np.sort(drawn)]
    logits = teacher.logits(contents)
    shown = succession(max(start.shown, accuracy or 0.0), len(start.labelled))
    if accuracy is not None and trained.before is None:
        return replace(teacher, temperature=calibration.temperature_for(logits, shown))
    guesses = np.array(teacher.classes_)[logits.argmax(axis=1)]
    # Before self-training a teacher knows little that the baseline does not: it is no wonder if they agree.
    others = [trained.before, baseline] if trained.before else []
    alike = [float((guesses == np.array(other.predict(contents))).mean()) for other in others] or [0.0]
    sure = expected(shown, [calibration.confidence(logits, 1.0), *alike])
    return replace(teacher, temperature=calibration.temperature_for(logits, sure))


def expected(shown: float, guesses: Sequence[float]) -> float:
    """The accuracy to expect beyond what lesser classifiers showed: the mean of guesses that err in other ways.

    What the teacher believes of itself is too much where classes are few, and too little where they are many. Two
    classifiers that learned apart guess alike about as often as they are right (Jiang et al. 2022). The teacher and the
    baseline do so too seldom where fine-tuning changed much, the teacher and what it was before self-training too
    often, since one learned from the other. No guess is less than what was shown.
    """
    return float(np.mean(np.maximum(guesses, shown)))


def succession(share: float, rows: int) -> float:
    """What share to expect where this one of so many rows was right: of few all may be by chance (Laplace's rule)."""
    return (share * rows + 1) / (rows + 2)
