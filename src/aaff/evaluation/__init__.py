"""Evaluation: confusion matrix, metrics, reports, baselines and tables."""

from aaff.evaluation.baselines import Priors, learn_priors, score_baselines, training_split
from aaff.evaluation.confusion import ConfusionMatrix, Metrics
from aaff.evaluation.evaluate import Baseline, Predict, Report, Subject, count, evaluate, report

__all__ = [
    "Baseline",
    "ConfusionMatrix",
    "Metrics",
    "Predict",
    "Priors",
    "Report",
    "Subject",
    "count",
    "evaluate",
    "learn_priors",
    "report",
    "score_baselines",
    "training_split",
]
