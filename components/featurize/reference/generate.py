"""Writes features.csv: the features of 1,000 windows, computed with NumPy and SciPy. `tests/featurize/reference.rs`
generates the same windows with the same arithmetic and compares.

    pip install numpy==2.4.6 scipy==1.17.1 && python3 generate.py
"""

import pathlib
import warnings

import numpy as np
import scipy.stats

MASK = (1 << 64) - 1


class SplitMix:
    """SplitMix64 (G. Steele, D. Lea, C. Flood, 2014)."""

    def __init__(self, seed):
        self.state = seed

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def uniform(self):
        return (self.bits() >> 11) * 2.0**-53

    def normal(self):
        total = 0.0
        for _ in range(12):
            total += self.uniform()
        return total - 6.0

    def below(self, limit):
        return self.bits() % limit


def triangle(i, period):
    phase = i % period
    return 4.0 * (phase / period) - 1.0 if 2 * phase < period else 3.0 - 4.0 * (phase / period)


LENGTHS = [1, 2, 3, 7, 8, 9, 10, 11, 30, 31, 128, 129, 257, 400, 1000, 3001]
OFFSETS = [0.0, 1.0, 1e6, -1e9, 1e12, 1e15]
SCALES = [1.0, 1e-12, 1e6, 1e-3]


def window(number):
    source = SplitMix(number)
    kind = number % 12
    count = LENGTHS[source.below(len(LENGTHS))] if source.below(2) == 0 else 1 + source.below(400)
    offset = OFFSETS[source.below(len(OFFSETS))]
    scale = SCALES[source.below(len(SCALES))]
    rate = 0.5 + 100.0 * source.uniform()
    values = []
    for i in range(count):
        if kind == 0:
            value = source.normal()
        elif kind == 1:
            value = offset + source.normal()
        elif kind == 2:
            value = offset + scale
        elif kind == 3:
            value = offset + (scale if i == count // 3 else 0.0)
        elif kind == 4:
            value = triangle(i, 16.0) + 0.1 * source.normal()
        elif kind == 5:
            value = scale * source.normal()
        elif kind == 6:
            value = offset + 0.25 * float(source.below(9))
        elif kind == 7:
            value = scale * float(i) + source.uniform()
        elif kind == 8:
            value = float("nan") if i == count // 2 else source.normal()
        elif kind == 9:
            value = (1.0 if i % 2 == 0 else -1.0) * (1.0 + source.uniform())
        elif kind == 10:
            value = source.normal() * source.normal() * source.normal() * 1e3
        else:
            value = offset + scale * triangle(i, 7.0) + scale * source.uniform()
        values.append(value)
    return np.array(values), rate


def features(x, rate):
    n = len(x)
    if np.isnan(x).any():
        return [np.nan] * 17
    mean, std, rms = np.mean(x), np.std(x), np.sqrt(np.mean(x**2))
    quantiles = np.quantile(x, [0.25, 0.5, 0.75])
    skewness, kurtosis = scipy.stats.skew(x), scipy.stats.kurtosis(x)
    frequency = magnitude = entropy = np.nan
    if np.min(x) < np.max(x):
        spectrum = np.abs(np.fft.rfft(x - mean))[1:]
        top = int(np.argmax(spectrum**2 >= np.max(spectrum**2) * (1 - 1e-9))) + 1  # the lowest frequency of equal lines
        frequency = np.fft.rfftfreq(n, 1.0 / rate)[top]
        magnitude = (1.0 if 2 * top == n else 2.0) * spectrum[top - 1] / n
        if len(spectrum) >= 2:
            entropy = scipy.stats.entropy(spectrum**2) / np.log(len(spectrum))
    rolling = np.nan
    if n >= 10:
        rolling = np.std(np.lib.stride_tricks.sliding_window_view(x, 10).mean(axis=1))
    return [
        mean, std, np.min(x), np.max(x), rms, np.ptp(x), np.max(np.abs(x)) / rms, skewness, kurtosis,
        frequency, magnitude, entropy, *quantiles, quantiles[2] - quantiles[0], rolling,
    ]


def main():
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    with open(pathlib.Path(__file__).with_name("features.csv"), "w") as out:
        out.write(f"# numpy {np.__version__}, scipy {scipy.__version__}\n")
        for number in range(1000):
            out.write(",".join(repr(float(value)) for value in features(*window(number))) + "\n")


main()
