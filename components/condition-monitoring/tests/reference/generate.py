"""Reference values by NumPy and SciPy for `tests/condition_monitoring/reference.rs`.

Usage: `python generate.py` in this folder.
"""
import numpy as np
from scipy import signal, stats

rng = np.random.default_rng(20)
rate, n = 12000.0, 1024
t = np.arange(n) / rate
x = rng.standard_normal(n) * (1 + 0.8 * np.cos(2 * np.pi * 107 * t)) + 0.3 * np.sin(2 * np.pi * 1500 * t) + 0.1


def save(name, values):
    np.savetxt(name + ".csv", np.atleast_1d(values), fmt="%.17g")


save("signal", x)
save("hilbert", np.abs(signal.hilbert(x)))
save("hilbert_odd", np.abs(signal.hilbert(x[:-1])))
save("welch", signal.welch(x, rate, nperseg=256)[1])
save("welch_odd", signal.welch(x, rate, nperseg=255)[1])
d = x - x.mean()
save("levels", [d.std(), np.abs(d).max(), np.abs(d).max() / d.std(), stats.kurtosis(x)])
w = signal.get_window("hann", n)
X = np.fft.rfft(d * w)
save("cepstrum", np.fft.irfft(np.log(np.abs(X) ** 2 + np.mean(np.abs(X) ** 2) * 1e-12), n))
f = np.arange(len(X)) * rate / n
octaves, high = [], n / 2
while True:
    low = high / 2
    a, b = int(np.ceil(low)), int(np.ceil(high))
    if b - a < 12:
        break
    octaves.append(10 * np.log10(2 * np.sum(np.abs(X[a:b]) ** 2) / n / np.sum(w * w)))
    high = low
save("octaves", octaves)
y = 0.02 * np.arange(60) + rng.standard_normal(60)
save("trend", y)
save("slopes", [stats.theilslopes(y, np.arange(60))[0], np.polyfit(np.arange(60), y, 1)[0]])
# Squared envelope of 2 to 4 kHz: by an ideal band-pass (zeroed lines of the whole record) and its analytic signal.
full = np.fft.fft(d * signal.windows.tukey(n, 0.1))
full[(np.fft.fftfreq(n, 1 / rate) < 2000) | (np.fft.fftfreq(n, 1 / rate) >= 4000)] = 0
save("band_envelope", np.abs(2 * np.fft.ifft(full)) ** 2)
