"""How sure a teacher may be of itself: as sure as it can be shown to be right, and part of the way beyond."""

from dataclasses import replace

import numpy as np

from handful import calibration
from handful.teacher import Teacher
from handful.transfer import Start, Trained

POOL_ROWS = 500  # plenty for a mean
FEWEST_ROWS = 100  # that were not learned; where there are fewer, chance would decide, and all rows are asked


def moderated(trained: Trained, baseline: Teacher, start: Start, accuracy: float | None) -> Teacher:
    """The teacher at the temperature at which it is, on average over the pool, as sure as `expected` allows.

    An encoder that was fine-tuned on few rows is surer than it is right, and the rows that it learned cannot tell by
    how much. Held-out rows can, but only of a lesser classifier: the probe on the backbone as it was, or the teacher's
    own kind on fewer rows. How often teacher and baseline guess alike says something of both. The teacher's guesses
    stay. Without a pool the teacher does too. Of the pool those rows are asked that it did not learn from, where there
    are enough: it is surer of the others.

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
    believed = calibration.confidence(logits, 1.0)
    shown = max(start.shown, accuracy or 0.0)
    alike = 0.0  # before self-training a teacher knows little that the baseline does not: it is no wonder if they agree
    if len(trained.guessed):
        guesses = np.array(teacher.classes_)[logits.argmax(axis=1)]
        alike = float((guesses == np.array(baseline.predict(contents))).mean())
    return replace(teacher, temperature=calibration.temperature_for(logits, expected(shown, believed, alike)))


def expected(shown: float, believed: float, alike: float) -> float:
    """The accuracy to expect beyond what lesser classifiers showed: the mean of two guesses that err in other ways.

    What the teacher believes of itself is too much where classes are few, and too little where they are many. Two
    classifiers that learned apart guess alike about as often as they are right (Jiang et al. 2022); the teacher and the
    baseline do so too seldom where fine-tuning changed much. Neither guess is less than what was shown.

    Args:
        alike: how often the teacher guesses what the baseline guesses.
    """
    return (max(shown, believed) + max(shown, alike)) / 2
