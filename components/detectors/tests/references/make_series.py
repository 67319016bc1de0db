"""Makes ../data/{saliency,left_profile}.csv. Made with numpy 2.4.6 and stumpy 1.14.1."""

import pathlib

import numpy as np
import stumpy

DATA = pathlib.Path(__file__).parent.parent / "data"
rng = np.random.default_rng(42)
n = 64
x = np.sin(np.arange(n) * 0.4) + 0.2 * rng.normal(size=n)
x[40] += 4
F = np.fft.fft(x)
log = np.log(np.maximum(np.abs(F), 1e-8))
mean = (np.roll(log, 1) + log + np.roll(log, -1)) / 3
map = np.abs(np.fft.ifft(np.exp(log - mean + 1j * np.angle(F))))
np.savetxt(DATA / "saliency.csv", np.c_[x, map], delimiter=",", header="value,saliency", comments="", fmt="%.17g")

n, m = 420, 24
x = np.sin(np.arange(n) * 2 * np.pi / 40) + 0.1 * rng.normal(size=n)
x[250:270] *= -0.5
x[300:360] = 1.5
stream = stumpy.stumpi(x[: m + 1].copy(), m, egress=False)
for value in x[m + 1 :]:
    stream.update(value)
profile = np.full(n, np.nan)
left = stream.left_P_.astype(float)
profile[m - 1 :] = np.where(np.isinf(left), np.nan, left)
header = f"value,left_profile of the {m} values that end here (stumpy {stumpy.__version__})"
np.savetxt(DATA / "left_profile.csv", np.c_[x, profile], delimiter=",", header=header, comments="", fmt="%.17g")
