"""The one training loop of the book, losses and objectives."""

from common.training.config import TrainConfig
from common.training.history import History
from common.training.loop import Batches, fit, prefetching, progress, update
from common.training.losses import affinity_loss, l1, whitened_kmeans_loss
from common.training.objectives import (
    ActivityObjective,
    ChimeraObjective,
    ClusteringObjective,
    MagnitudeObjective,
    MaskObjective,
    PhaseSensitiveObjective,
)
from common.training.precision import choose_precision, computing_in, precision_here
from common.training.processes import start_processes
from common.training.run import Run
from common.training.state import STATE, load_state, save_state
from common.training.validation import ValidationLoss

__all__ = [
    "ActivityObjective",
    "Batches",
    "ChimeraObjective",
    "ClusteringObjective",
    "History",
    "MagnitudeObjective",
    "MaskObjective",
    "PhaseSensitiveObjective",
    "Run",
    "STATE",
    "TrainConfig",
    "ValidationLoss",
    "affinity_loss",
    "choose_precision",
    "computing_in",
    "fit",
    "l1",
    "load_state",
    "precision_here",
    "prefetching",
    "progress",
    "save_state",
    "start_processes",
    "update",
    "whitened_kmeans_loss",
]
