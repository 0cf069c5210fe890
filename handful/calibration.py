"""Calibration: temperatures that mend probabilities, and the threshold below which a student may abstain."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

# Beyond a factor of twenty the data do not tell one temperature from the next, and all that is left is rounding.
LOG_TEMPERATURES = (-np.log(20.0), np.log(20.0))


def confidence(logits: np.ndarray, temperature: float) -> float:
    """The mean of the largest probabilities at a temperature; logits [n, classes], n > 0."""
    return float(softmax(logits.astype(np.float64) / temperature, axis=1).max(axis=1).mean())


def temperature_for(logits: np.ndarray, wanted: float) -> float:
    """The temperature at which the mean confidence is as `wanted`, or as near to it as a temperature comes.

    The confidence falls as the temperature rises, so there is one. Temperature scaling as of Guo et al. 2017, section
    4.2, where labels to fit it to are lacking.

    Args:
        logits: [n, classes], n > 0; log-probabilities do as well, as they differ from logits by a constant per row.
    """

    def excess(log_temperature: float) -> float:
        return confidence(logits, np.exp(log_temperature)) - wanted

    coldest, hottest = LOG_TEMPERATURES
    if excess(coldest) <= 0:
        return float(np.exp(coldest))
    if excess(hottest) >= 0:
        return float(np.exp(hottest))
    return float(np.exp(brentq(excess, coldest, hottest)))


def threshold(confidences: np.ndarray, share: float) -> float:
    """The highest bound that no more than `share` of the confidences [n] lie below; 0 where that is not one row."""
    below = int(share * len(confidences))
    return float(np.sort(confidences)[below]) if below else 0.0
