"""Makes ../data/{pareto,ks,isolation_forest,mcd,pca}.json: the results of NumPy, SciPy and scikit-learn.

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. The script checks the versions, as it draws the inputs.
make_series.py makes left_profile.csv with stumpy 1.14.1.
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy import special, stats
from sklearn.covariance import MinCovDet
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length
from sklearn.preprocessing import StandardScaler

assert (np.__version__, scipy.__version__, sklearn.__version__) == ("2.4.6", "1.17.1", "1.9.1")
DATA = pathlib.Path(__file__).parent.parent / "data"
rng = np.random.default_rng(20)


def write(name, **values):
    (DATA / f"{name}.json").write_text(json.dumps(values) + "\n")


cases = []
for shape, scale, count in [(-0.2, 1.0, 150), (0.0, 5.0, 150), (0.25, 0.2, 150), (0.5, 3.0, 100)]:
    excesses = stats.genpareto.rvs(shape, scale=scale, size=count, random_state=rng).round(6)
    start = stats.genpareto.fit(excesses, floc=0)
    best = min(
        (stats.genpareto.fit(excesses, c, floc=0, scale=s) for c in (-0.3, 0.01, 0.4) for s in (0.5 * scale, scale, 2 * scale)),
        key=lambda fit: stats.genpareto.nnlf(fit, excesses),
        default=start,
    )
    cases.append(dict(excesses=excesses.tolist(), shape=best[0], scale=best[2]))
write("pareto", cases=cases)

cases = []
for m, n, shift in [(5, 9, 0.5), (30, 30, 0.0), (40, 63, 0.6), (100, 25, 1.0), (200, 300, 0.1)]:
    one, other = rng.normal(size=m).round(5), (rng.normal(size=n) + shift).round(5)
    exact = stats.ks_2samp(one, other, method="exact")
    cases.append(
        dict(
            one=one.tolist(), other=other.tolist(), statistic=float(exact.statistic), exact=float(exact.pvalue),
            limiting=float(special.kolmogorov(np.sqrt(m * n / (m + n)) * exact.statistic)),
        )
    )
p = rng.uniform(size=20) ** 3
write("ks", cases=cases, p=p.tolist(), adjusted=stats.false_discovery_control(p).tolist())

points = np.r_[rng.normal(size=(280, 4)) @ rng.normal(size=(4, 4)), rng.uniform(-8, 8, size=(20, 4))].round(4)
forests = [IsolationForest(n_estimators=300, random_state=seed).fit(points) for seed in range(3)]
write(
    "isolation_forest", points=points.tolist(), scores=np.mean([-f.score_samples(points) for f in forests], 0).tolist(),
    average_path=[[n, float(_average_path_length([n])[0])] for n in (1, 2, 3, 10, 255, 256, 1000)],
)

points = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 3)) + [1, 20, -3]
points[:120] += [8, -8, 8]
points = points.round(4)
robust = MinCovDet(random_state=0).fit(points)
write("mcd", points=points.tolist(), raw_location=robust.raw_location_.tolist(), raw_covariance=robust.raw_covariance_.tolist(), location=robust.location_.tolist(), covariance=robust.covariance_.tolist())

points = (rng.normal(size=(80, 3)) @ rng.normal(size=(3, 7)) + 0.5 * rng.normal(size=(80, 7))).round(4)
scaled = StandardScaler().fit_transform(points)
whole = PCA(svd_solver="full").fit(scaled)
kept = int(np.searchsorted(np.cumsum(whole.explained_variance_ratio_), 0.9) + 1)
model = PCA(kept, svd_solver="full").fit(scaled)
scores = model.transform(scaled)
n = len(points)
one, two, three = ((whole.explained_variance_[kept:] ** k).sum() for k in (1, 2, 3))
h = 1 - 2 * one * three / (3 * two**2)
c = stats.norm.ppf(0.999)
write(
    "pca", points=points.tolist(), components=kept, t2=(scores**2 / model.explained_variance_).sum(1).tolist(),
    q=((scaled - model.inverse_transform(scores)) ** 2).sum(1).tolist(),
    t2_limit=float(kept * (n**2 - 1) / (n * (n - kept)) * stats.f.ppf(0.999, kept, n - kept)),
    q_limit=float(one * (c * np.sqrt(2 * two * h**2) / one + 1 + two * h * (h - 1) / one**2) ** (1 / h)),
)
