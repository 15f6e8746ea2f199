"""The same figures by scikit-learn and SciPy, for measures.test.ts. JSON on stdin, JSON on stdout."""

import json
import sys

import numpy as np
from scipy.optimize import root
from scipy.special import expit
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

given = json.load(sys.stdin)
attack = np.array(given["attack"])
score = np.array(given["score"])
weight = np.array(given["weight"])
logit = np.array(given["logit"])

fpr, tpr, _ = roc_curve(attack, score, sample_weight=weight, drop_intermediate=False)
fnr = 1 - tpr
gap = np.round(np.abs(fpr - fnr), 12)
closest = gap == gap.min()


def at_most(limited, limit, other):
    """The lowest other rate while the first one stays within its limit."""
    return float(other[limited <= limit + 1e-12].min())


repeated = np.repeat(np.arange(len(score)), weight.astype(int))
a, s = attack[repeated], score[repeated]
share, mean_score = calibration_curve(a, s, n_bins=10, strategy="uniform")
# calibration_curve closes its bins on the right; the scores of the test avoid the edges.
counts = np.histogram(s, bins=np.linspace(0, 1, 11))[0]
ece = float(np.sum(np.abs(share - mean_score) * counts[counts > 0]) / len(s))

# Both classes weigh the same. Platt's targets t are rows of class 1 with weight t, of class 0 with 1 - t.
n1, n0 = attack.sum(), (1 - attack).sum()
balance = np.where(attack == 1, len(attack) / 2 / n1, len(attack) / 2 / n0)
target = np.where(attack == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
platt = LogisticRegression(penalty=None, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(
    np.concatenate([logit, logit])[:, None],
    np.concatenate([np.ones_like(attack), np.zeros_like(attack)]),
    sample_weight=np.concatenate([balance * target, balance * (1 - target)]),
)


def gradient(parameters):
    p = expit(parameters[0] * logit + parameters[1])
    return [np.sum(balance * (p - target) * logit), np.sum(balance * (p - target))]


# LogisticRegression stops at about 1e-9; the root of its gradient is exact.
platt = root(gradient, [platt.coef_[0, 0], platt.intercept_[0]], tol=1e-15).x
isotonic = IsotonicRegression(out_of_bounds="clip").fit(logit, attack, sample_weight=balance)

json.dump(
    {
        "auc": roc_auc_score(attack, score, sample_weight=weight),
        "eer": float(((fpr + fnr) / 2)[closest].max()),
        "apcer_at_bpcer_1": at_most(fpr, 0.01, fnr),
        "apcer_at_bpcer_5": at_most(fpr, 0.05, fnr),
        "apcer_at_bpcer_10": at_most(fpr, 0.1, fnr),
        "bpcer10": at_most(fnr, 0.1, fpr),
        "bpcer20": at_most(fnr, 0.05, fpr),
        "bpcer100": at_most(fnr, 0.01, fpr),
        "brier": brier_score_loss(attack, score, sample_weight=weight),
        "ece": ece,
        "platt": platt.tolist(),
        "isotonic": isotonic.predict(given["asked"]).tolist(),
        "mcnemar": [binomtest(k, n).pvalue for k, n in given["discordant"]],
        "quantiles": np.percentile(score, [2.5, 50, 97.5]).tolist(),
    },
    sys.stdout,
)
