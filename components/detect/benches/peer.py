"""Measures the benchmarks of detect.rs with NumPy, SciPy and scikit-learn, in microseconds.

Python 3.11, numpy==2.4.6, scipy==1.17.1, scikit-learn==1.9.1. One thread.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import statistics
import time
import warnings

import numpy as np
import scipy
import scipy.signal
import scipy.stats
import sklearn
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest

# Suppresses the warning that 400 rows are few for a robust covariance of 120 numbers.
warnings.simplefilter("ignore")
ROWS, WIDTH = 400, 120


def microseconds(call, least=0.5):
    """The median of batches, after one call to warm up."""
    call()
    times, begin = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < least:
        before = time.perf_counter()
        call()
        times.append(1e6 * (time.perf_counter() - before))
    return statistics.median(times)


def window(x):
    """The 17 features that windows and waveforms share; see featurize's features.rs."""
    mean, std, rms = x.mean(), x.std(), np.sqrt(np.mean(x * x))
    low, high = x.min(), x.max()
    q25, q50, q75 = np.quantile(x, [0.25, 0.5, 0.75])
    spectrum = np.abs(np.fft.rfft(x - mean))[1:]
    power = spectrum**2
    share = power / power.sum()
    at = int(power.argmax())
    rolling = np.lib.stride_tricks.sliding_window_view(x, 10).mean(axis=1)
    return (
        mean, std, low, high, rms, high - low, np.abs(x).max() / rms, scipy.stats.skew(x), scipy.stats.kurtosis(x),
        (at + 1) / len(x), 2 * spectrum[at] / len(x), -np.sum(scipy.special.xlogy(share, share)) / np.log(len(share)),
        q25, q50, q75, q75 - q25, rolling.std(),
    )  # fmt: skip


def envelope(x):
    """The spectrum of the squared envelope of one band; featurize uses many bands."""
    filtered = scipy.signal.sosfilt(BAND, x)
    squared = np.abs(scipy.signal.hilbert(filtered)) ** 2
    return np.abs(np.fft.rfft(squared - squared.mean()))


random = np.random.default_rng(1)
BAND = scipy.signal.butter(4, [3000, 5000], "bandpass", fs=25_600, output="sos")
readings, waveform = random.normal(20, 0.3, 30), random.normal(0, 1, 2048)
rows, row = random.normal(size=(ROWS, WIDTH)), random.normal(size=(1, WIDTH))
forest = IsolationForest(n_estimators=100, random_state=1).fit(rows)
ellipse = EllipticEnvelope(random_state=1).fit(rows)

print(f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}; median, µs")
for what, call, least in [
    ("17 features of a window of 30 readings", lambda: window(readings), 0.5),
    ("envelope spectrum of 2,048 samples, one band", lambda: envelope(waveform), 0.5),
    (f"IsolationForest, score of a row of {WIDTH}", lambda: forest.score_samples(row), 0.5),
    (f"IsolationForest, scores of {ROWS} rows at once, a row", None, 0.5),
    (f"IsolationForest, fit of {ROWS} rows", lambda: IsolationForest(random_state=1).fit(rows), 0.5),
    (f"EllipticEnvelope, score of a row of {WIDTH}", lambda: ellipse.score_samples(row), 0.5),
    (f"EllipticEnvelope, fit of {ROWS} rows", lambda: EllipticEnvelope(random_state=1).fit(rows), 0.5),
]:
    took = microseconds(call, least) if call else microseconds(lambda: forest.score_samples(rows)) / ROWS
    print(f"{took:14.1f}  {what}")
