"""Evaluation of estimates: metrics, BSS Eval, oracles, and the loop over tracks."""

from common.evaluation.bss_eval import BSSEval, bss_eval
from common.evaluation.metrics import bleeding, high_frequency_error, sdr, si_sdr, tail_error
from common.evaluation.oracles import (
    BOUNDS,
    Bound,
    MaskBound,
    MixtureBound,
    SilenceBound,
    StaticFilterBound,
    true_sources,
)
from common.evaluation.per_track import evaluate, evaluate_track
from common.evaluation.results import bootstrap_interval, compare, load_results, save_results

__all__ = [
    "BOUNDS",
    "BSSEval",
    "Bound",
    "MaskBound",
    "MixtureBound",
    "SilenceBound",
    "StaticFilterBound",
    "bleeding",
    "bootstrap_interval",
    "bss_eval",
    "compare",
    "evaluate",
    "evaluate_track",
    "high_frequency_error",
    "load_results",
    "save_results",
    "sdr",
    "si_sdr",
    "tail_error",
    "true_sources",
]
