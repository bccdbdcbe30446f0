"""The training loop: interruptions, losses that are not finite, and several processes."""

from __future__ import annotations

import json
import math
import os
import random
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from accelerate import Accelerator
from processes import alone
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from common.data import Excerpts
from common.data.tracks import Track
from common.models.chimera import Chimera
from common.models.mask_inference import MagnitudeInference, MaskInference
from common.signal.stft import STFT
from common.support.files import write_tensors
from common.training import (
    STATE,
    Batches,
    History,
    Run,
    TrainConfig,
    ValidationLoss,
    fit,
    load_state,
    save_state,
)
from common.training.loop import prefetching
from common.training.objectives import MagnitudeObjective, MaskObjective
from common.training.run import READ_EVERY
from common.training.weights import BestWeights

RATE = 1000
TRANSFORM = STFT(64, 32)
CONFIG = TrainConfig(steps=20, batch_size=2, warmup=3, validate_every=4, save_every=3, seed=5)


def tracks(n_tracks: int = 3, seconds: float = 2.0) -> list[Track]:
    generator = torch.Generator().manual_seed(1)
    shape = (n_tracks, 4, 2, round(seconds * RATE))
    audio = 0.1 * torch.randn(shape, generator=generator)
    return [Track(f"song {i}", sources, RATE) for i, sources in enumerate(audio)]


def small_net(seed: int = 0, dropout: float = 0.3) -> MaskInference:
    torch.manual_seed(seed)
    return MaskInference(n_bins=TRANSFORM.n_bins, hidden_size=4, n_layers=2, dropout=dropout)


def excerpts(seed: int = CONFIG.seed) -> Excerpts:
    return Excerpts(tracks(), 0.3, seed)


def weights_differ(one: nn.Module, other: nn.Module) -> list[str]:
    """Names of weights and statistics that are not the same bit for bit."""
    others = other.state_dict()
    return [name for name, x in one.state_dict().items() if not torch.equal(x, others[name])]


class Interrupted(Excerpts):
    """Excerpts with a Ctrl-C at the first excerpt of step `step`."""

    step = 0

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index == self.step * CONFIG.batch_size:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def interrupted(step: int) -> Interrupted:
    dataset = Interrupted(tracks(), 0.3, CONFIG.seed)
    object.__setattr__(dataset, "step", step)
    return dataset


# --- the schedule -----------------------------------------------------------------------------


def test_learning_rate_climbs_along_a_line_and_comes_down_along_a_cosine() -> None:
    config = TrainConfig(steps=100, learning_rate=2.0, warmup=10)
    rates = [config.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[4] == pytest.approx(1.0, rel=0.01)
    assert max(rates) == rates[9]
    assert rates[50] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in zip(rates[9:], rates[10:], strict=False))
    assert 0 < rates[99] < 1e-3


def test_no_warm_up_starts_at_the_highest_rate() -> None:
    assert TrainConfig(steps=7, learning_rate=0.5, warmup=0).learning_rate_at(0) == 0.5


def test_fit_uses_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    step = torch.optim.Adam.step

    def spy(self, *args, **kwargs):
        used.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    fit(small_net(), MaskObjective(TRANSFORM), excerpts(), CONFIG)
    assert used == [CONFIG.learning_rate_at(k) for k in range(CONFIG.steps)]


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [(10, 4, [3, 7, 9]), (8, 4, [3, 7]), (3, 100, [2]), (1, 1, [0])],
)
def test_due_is_every_so_many_steps_and_at_the_end(
    steps: int, every: int, expected: list[int]
) -> None:
    config = TrainConfig(steps=steps)
    assert [step for step in range(steps) if config.due(step, every)] == expected


# --- what is drawn, and what is learned -------------------------------------------------------


def test_an_excerpt_depends_on_seed_and_index_alone() -> None:
    forwards = [excerpts()[i] for i in range(6)]
    torch.manual_seed(99)
    random.seed(99)
    backwards = [excerpts()[i] for i in reversed(range(6))]
    for (mixture, sources), (mixture_again, sources_again) in zip(
        forwards, reversed(backwards), strict=True
    ):
        assert torch.equal(mixture, mixture_again)
        assert torch.equal(sources, sources_again)
        assert torch.allclose(mixture, sources.sum(dim=0))


def test_other_seeds_and_indices_give_other_excerpts() -> None:
    drawn = [excerpts(seed)[i][0] for seed in range(3) for i in range(4)]
    drawn.append(excerpts()[10**12][0])
    for k, one in enumerate(drawn):
        assert not any(torch.equal(one, other) for other in drawn[:k])


def test_the_loss_falls() -> None:
    sources = tracks()[0].sources.clone()
    sources[1:] = 0
    loud = [(sources.sum(dim=0), sources)] * 400
    config = TrainConfig(steps=60, batch_size=2, learning_rate=0.02, warmup=0)
    losses = fit(small_net(dropout=0.0), MaskObjective(TRANSFORM), loud, config).losses
    assert len(losses) == 60
    assert losses[-1] < 0.2 * losses[0]


def test_validation_neither_learns_nor_disturbs() -> None:
    objective = MaskObjective(TRANSFORM)
    plain, watched = small_net(), small_net()
    validate = ValidationLoss(objective, excerpts(seed=8), n_excerpts=5, batch_size=2)
    alone = fit(plain, objective, excerpts(), CONFIG)
    history = fit(watched, objective, excerpts(), CONFIG, validate)
    assert history.losses == alone.losses
    assert weights_differ(plain, watched) == []
    assert [step for step, _ in history.validation] == [4, 8, 12, 16, 20]
    watched.eval()
    losses = [objective(watched, *(x[None] for x in excerpts(seed=8)[i])).item() for i in range(5)]
    assert history.validation[-1][1] == pytest.approx(sum(losses) / 5, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_training(bad: float, tmp_path: Path) -> None:
    objective = MaskObjective(TRANSFORM)
    calls = []

    def breaks_at_step_7(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        calls.append(len(calls))
        loss = objective(net, mixture, sources)
        return loss * bad if calls[-1] == 7 else loss

    with pytest.raises(FloatingPointError, match="step 8: lower the learning rate"):
        fit(small_net(), breaks_at_step_7, excerpts(), CONFIG, folder=tmp_path)
    saved = load_file(tmp_path / STATE)
    assert all(x.isfinite().all() for x in saved.values() if x.is_floating_point())


def test_the_first_bad_step_is_named_though_losses_are_read_later() -> None:
    """The loss of step 8 is read with that of step 20, and all losses after it are NaN as well."""
    objective = MaskObjective(TRANSFORM)
    calls = []

    def breaks_the_weights(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        calls.append(len(calls))
        return objective(net, mixture, sources) * (math.nan if calls[-1] >= 7 else 1.0)

    with pytest.raises(FloatingPointError, match="became nan at step 8: lower"):
        fit(small_net(), breaks_the_weights, excerpts(), replace(CONFIG, steps=40))
    assert len(calls) == READ_EVERY, "losses are read at the next reading step"


def sound_loss_of_a_broken_gradient(last: int):
    """An objective whose loss is a number but whose gradient at step `last` is NaN."""
    objective = MaskObjective(TRANSFORM)
    calls = []

    def measured(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        calls.append(len(calls))
        loss = objective(net, mixture, sources)
        # The root has an infinite slope at 0, and infinity times 0 is NaN.
        return loss + (0 * loss).sqrt() if calls[-1] == last else loss

    return measured


@pytest.mark.parametrize("saved", [False, True])
def test_weights_that_broke_in_the_last_step_are_neither_returned_nor_saved(
    saved: bool, tmp_path: Path
) -> None:
    objective = sound_loss_of_a_broken_gradient(CONFIG.steps - 1)
    folder = tmp_path if saved else None
    with pytest.raises(FloatingPointError, match="weights became NaN or infinite by step 20: low"):
        fit(small_net(), objective, excerpts(), CONFIG, folder=folder)
    for x in load_file(tmp_path / STATE).values() if saved else ():
        assert not x.is_floating_point() or x.isfinite().all()


class Filter(nn.Module):
    """Masks from one frame at a time; no LSTM, which not every CPU computes in bfloat16."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(TRANSFORM.n_bins, 4 * TRANSFORM.n_bins)

    def forward(self, magnitude: Tensor) -> Tensor:
        masks = self.linear(magnitude.transpose(-1, -2)).sigmoid()
        return masks.unflatten(-1, (4, -1)).permute(0, 3, 1, 4, 2)


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt, FloatingPointError])
def test_a_net_is_itself_again_however_training_ends(
    error: type[BaseException] | None, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.training.precision.cpu_flags", lambda: "avx512_bf16")
    objective = MaskObjective(TRANSFORM)
    wrapped = []

    def stops(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        wrapped.append("forward" in vars(net))
        if error and len(wrapped) == 3:
            raise error
        return objective(net, mixture, sources)

    net = Filter()
    config = replace(CONFIG, steps=4)
    if error:
        with pytest.raises(error):
            fit(net, stops, excerpts(), config, precision=precision)
    else:
        fit(net, stops, excerpts(), config, precision=precision)
    assert wrapped[0] == (precision == "bf16")
    assert "forward" not in vars(net) and not hasattr(net, "_original_forward")


# --- which weights training ends with -----------------------------------------------------------


def test_the_average_is_what_its_formula_says() -> None:
    net = nn.Linear(1, 1, bias=False)
    weights, expected = BestWeights(net, 0.8), None
    for step in range(60):
        with torch.no_grad():
            net.weight.fill_(math.sin(step))
        weights.update(step)
        kept = min(0.8, step / (step + 10))
        expected = kept * (expected or 0.0) + (1 - kept) * math.sin(step)
        assert weights.average["weight"].item() == pytest.approx(expected, abs=1e-5)
    with weights.averaged():
        assert net.weight.item() == pytest.approx(expected, abs=1e-5)
    assert net.weight.item() == pytest.approx(math.sin(59))


def test_an_average_changes_what_is_returned_and_not_what_is_learned() -> None:
    objective = MaskObjective(TRANSFORM)
    plain, averaged = small_net(), small_net()
    expected = fit(plain, objective, excerpts(), CONFIG)
    history = fit(averaged, objective, excerpts(), replace(CONFIG, ema=0.9))
    assert history.losses == expected.losses
    parameters = [name for name, _ in plain.named_parameters()]
    assert sorted(weights_differ(plain, averaged)) == sorted(parameters)


class Scripted:
    """A validation that returns given losses, and stores the net's weights."""

    def __init__(self, losses: list[float]):
        self.losses, self.seen = list(losses), []

    def __call__(self, net: nn.Module) -> float:
        self.seen.append({name: x.clone() for name, x in net.state_dict().items()})
        return self.losses[len(self.seen) - 1]


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([5, 2, 3, 2, 4], 8),
        ([5, 4, 3, 2, 1], 20),
        ([1, 2, 3, 4, 5], 4),
    ],
)
def test_training_ends_with_the_weights_that_validated_best(
    losses: list[float], best: int, ema: float
) -> None:
    net, validate = small_net(), Scripted(losses)
    config = replace(CONFIG, ema=ema)
    history = fit(net, MaskObjective(TRANSFORM), excerpts(), config, validate)
    assert history.best_step == best
    kept = validate.seen[best // CONFIG.validate_every - 1]
    assert all(torch.equal(x, kept[name]) for name, x in net.state_dict().items())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_validation_loss_that_is_no_number_ends_training(bad: float) -> None:
    """Music with NaN gives NaN at every validation; the first one reports it."""
    with pytest.raises(FloatingPointError, match="validation loss is .* after step 8"):
        fit(small_net(), MaskObjective(TRANSFORM), excerpts(), CONFIG, Scripted([2, bad, 1]))


def test_no_validation_ends_with_the_last_weights() -> None:
    assert History().best_step is None
    net, validate = small_net(), Scripted([1, 2, 3, 4, 5])
    objective = MaskObjective(TRANSFORM)
    fit(net, objective, excerpts(), CONFIG)
    fit(small_net(), objective, excerpts(), CONFIG, validate)
    last = validate.seen[-1]
    assert all(torch.equal(x, last[name]) for name, x in net.state_dict().items())


@pytest.mark.parametrize("stop", [5, 11, 17])
def test_a_resumed_run_knows_its_average_and_its_best(stop: int, tmp_path: Path) -> None:
    config = replace(CONFIG, ema=0.9)
    objective = MaskObjective(TRANSFORM)

    def losing(net: nn.Module) -> float:  # the first validation is the best
        losing.count += 1
        return losing.count

    losing.count = 0
    whole, net = small_net(), small_net()
    expected = fit(whole, objective, excerpts(), config, losing)
    losing.count = 0
    with pytest.raises(KeyboardInterrupt):
        fit(net, objective, interrupted(stop), config, losing, tmp_path)
    losing.count = len(load_history(tmp_path)["validation"])
    net = small_net(seed=7)
    assert fit(net, objective, excerpts(), config, losing, tmp_path, resume=True) == expected
    assert expected.best_step == CONFIG.validate_every
    assert weights_differ(net, whole) == []
    last = small_net(seed=8)
    fit(last, objective, excerpts(), config, folder=tmp_path, resume=True)
    assert weights_differ(last, whole) == [], "the best weights are kept after the end of the run"


def load_history(folder: Path) -> dict:
    with safe_open(folder / STATE, framework="pt") as file:
        return json.loads(file.metadata()["history"])


def test_the_bar_shows_the_loss_and_its_trend() -> None:
    assert History().trend() == ""
    assert History([2.0] * 20).trend() == "loss 2"
    assert History([9.0] * 7 + [2.0] * 20 + [1.5] * 20).trend() == "loss 1.5 (-25.0 %)"


def test_new_settings_stay_out_of_old_cards_until_they_are_used() -> None:
    old = {"steps": 3, "batch_size": 8, "learning_rate": 1e-3, "warmup": 20, "gradient_clip": 1.0}
    old |= {"validate_every": 100, "save_every": 200, "seed": 0}
    assert TrainConfig(3).facts() == old
    assert TrainConfig(3, ema=0.99).facts() == old | {"ema": 0.99}


def test_a_gpu_gets_its_batches_ahead_of_time_and_a_cpu_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_cpu = Batches(excerpts(), CONFIG, 3, Accelerator())
    assert on_cpu.num_workers == 0 and not on_cpu.pin_memory

    class OnGPU:
        device, num_processes, process_index = torch.device("cuda"), 1, 0

    ahead = prefetching(OnGPU())
    assert ahead["pin_memory"] and 1 <= ahead["num_workers"] <= 8
    monkeypatch.setattr("common.training.loop.get_all_start_methods", lambda: ["spawn"])
    assert prefetching(OnGPU()) == {}
    del ahead["pin_memory"]  # needs a GPU
    monkeypatch.setattr("common.training.loop.prefetching", lambda _: ahead)
    for one, other in zip(on_cpu, Batches(excerpts(), CONFIG, 3, Accelerator()), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


# --- stopping and going on --------------------------------------------------------------------


@pytest.mark.parametrize("draw", range(4))
def test_resuming_equals_never_having_stopped(draw: int, tmp_path: Path) -> None:
    rng = random.Random(draw)
    stops = sorted(rng.sample(range(CONFIG.save_every, CONFIG.steps), 2))  # once something is saved
    objective = MaskObjective(TRANSFORM)
    validate = ValidationLoss(objective, excerpts(seed=8), n_excerpts=2)
    whole = small_net()
    expected = fit(whole, objective, excerpts(), CONFIG, validate)

    net = small_net()
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            fit(net, objective, interrupted(stop), CONFIG, validate, tmp_path, resume=True)
        net = small_net(seed=100 + stop)  # whatever comes next starts from other weights
        torch.rand(stop)
    history = fit(net, objective, excerpts(), CONFIG, validate, tmp_path, resume=True)
    assert weights_differ(net, whole) == [], f"stopped at {stops}"
    assert history == expected


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    objective = MaskObjective(TRANSFORM)
    net, again = small_net(), small_net(seed=3)
    history = fit(net, objective, excerpts(), CONFIG, folder=tmp_path)
    assert fit(again, objective, excerpts(), CONFIG, folder=tmp_path, resume=True) == history
    assert weights_differ(net, again) == []


def train_in_child(folder: Path, kill_at: int | None = None, kill_saving: int | None = None):
    """Train in this (child) process; be killed at the start of a step, or in the middle of saving.

    kill_saving: which save, counted in this process, is cut off half-way.
    """
    torch.set_num_threads(1)

    class Killed(Excerpts):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            if index // CONFIG.batch_size == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(index)

    saves = []

    def save_half(tensors: dict, path: Path, metadata: dict) -> None:
        save_whole(tensors, path, metadata)
        saves.append(path)
        if len(saves) == kill_saving:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    save_whole = safetensors.torch.save_file
    safetensors.torch.save_file = save_half
    dataset = Killed(tracks(), 0.3, CONFIG.seed)
    fit(small_net(), MaskObjective(TRANSFORM), dataset, CONFIG, folder=folder, resume=True)


def states_differ(one: Path, other: Path) -> list[str]:
    """Names of everything in two saved states that is not the same bit for bit."""
    a, b = load_file(one / STATE), load_file(other / STATE)
    return [name for name in a.keys() | b.keys() if not torch.equal(a[name], b[name])]


def test_a_run_killed_five_times_ends_with_the_same_weights(tmp_path: Path) -> None:
    assert alone(train_in_child, tmp_path / "whole") == 0
    steps = sorted(random.Random(7).sample(range(1, CONFIG.steps), 5))
    for step in steps:
        assert alone(train_in_child, tmp_path / "killed", step) == -signal.SIGKILL
    assert alone(train_in_child, tmp_path / "killed") == 0
    assert states_differ(tmp_path / "whole", tmp_path / "killed") == [], f"killed at {steps}"


def test_a_run_killed_while_saving_goes_on_from_the_save_before(tmp_path: Path) -> None:
    assert alone(train_in_child, tmp_path / "whole") == 0
    assert alone(train_in_child, tmp_path / "killed", None, 3) == -signal.SIGKILL
    run = Run(small_net(seed=9), CONFIG, Accelerator())
    step = load_state(tmp_path / "killed", run)
    assert step == len(run.history.losses) == 2 * CONFIG.save_every
    assert alone(train_in_child, tmp_path / "killed") == 0
    assert states_differ(tmp_path / "whole", tmp_path / "killed") == []


def test_a_state_saved_before_parameters_were_renamed_goes_on(tmp_path: Path) -> None:
    run = Run(Chimera(5, 2, 3, 2, 1), CONFIG, Accelerator())
    run.history = History([0.5, 0.4], [(2, 0.3)], [(0, "no")])
    run.weights.keep()
    save_state(tmp_path, run)
    path, old = tmp_path / STATE, {}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    for name, x in load_file(path).items():
        group, _, rest = name.partition(".")
        old[f"{group}.{rest.replace('embeddings.', 'places.')}"] = x
    assert {"net.places.linear.weight", "best.places.linear.weight"} <= old.keys()
    write_tensors(path, old, metadata)
    loaded = Run(Chimera(5, 2, 3, 2, 1), CONFIG, Accelerator())
    assert load_state(tmp_path, loaded) == 2
    assert weights_differ(loaded.net, run.net) == []
    assert loaded.weights.best.keys() == run.weights.best.keys()


def test_a_full_disk_leaves_the_last_good_state(tmp_path: Path) -> None:
    run = Run(small_net(), CONFIG, Accelerator())
    run.history = History([0.5, 0.4], [(2, 0.3)], [(0, "no")])
    save_state(tmp_path, run)
    size = (tmp_path / STATE).stat().st_size

    # A limit on file size makes the real write fail half-way, as a full disk does; no mount, no
    # root. Python ignores the signal that comes with it, so the write ends in an error.
    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, most))
    try:
        with pytest.raises(OSError, match="too large"):
            save_state(tmp_path, Run(small_net(seed=1), CONFIG, Accelerator()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))

    assert [path.name for path in tmp_path.iterdir()] == [STATE], "half-written files remain"
    loaded = Run(small_net(seed=2), CONFIG, Accelerator())
    assert load_state(tmp_path, loaded) == 2
    assert loaded.history == run.history
    assert weights_differ(loaded.net, run.net) == []


# --- wrappers -----------------------------------------------------------


class OnlyForward(nn.Module):
    """What an objective may rely on when a net is wrapped for several processes."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.hidden = [net]  # in a list: not a submodule, so no attribute leads to the net

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden[0](x)


@pytest.mark.parametrize(
    ("net_class", "objective"),
    [
        (MaskInference, MaskObjective(TRANSFORM)),
        (MagnitudeInference, MagnitudeObjective(TRANSFORM)),
    ],
)
def test_objectives_only_call_the_net(net_class: type[nn.Module], objective) -> None:
    torch.manual_seed(0)
    net = net_class(n_bins=TRANSFORM.n_bins, hidden_size=4, n_layers=1).eval()
    mixture, sources = (x[None] for x in excerpts()[0])
    loss = objective(OnlyForward(net), mixture, sources)
    assert loss.shape == ()
    assert loss.item() == objective(net, mixture, sources).item()
    loss.backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())
