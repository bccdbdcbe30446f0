"""bfloat16 where the hardware computes in it, float32 elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_training import CONFIG, TRANSFORM, Filter, excerpts
from torch import Tensor, nn

from common.training import MaskObjective, ValidationLoss, choose_precision, fit
from common.training.precision import _say, computing_in, cpu_flags, precision_here

OBJECTIVE = MaskObjective(TRANSFORM)

T4, A100, H100, NONE = (7, 5), (8, 0), (9, 0), (0, 0)
NEW, OLD = "fpu avx2 avx512f avx512_bf16", "fpu avx2 avx512f"


@pytest.mark.parametrize(
    ("device", "capability", "flags", "auto", "asked"),
    [
        ("cuda", T4, NEW, "no", "no"),
        ("cuda", A100, OLD, "bf16", "bf16"),
        ("cuda", H100, OLD, "bf16", "bf16"),
        ("mps", NONE, "", "no", "no"),
        ("cpu", NONE, OLD, "no", "no"),
        ("cpu", NONE, NEW, "no", "bf16"),
        ("cpu", NONE, "", "no", "no"),
    ],
)
def test_the_hardware_decides(
    device: str, capability: tuple[int, int], flags: str, auto: str, asked: str
) -> None:
    assert choose_precision("auto", device, capability, flags) == auto
    assert choose_precision("bf16", device, capability, flags) == asked
    assert choose_precision("no", device, capability, flags) == "no"


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="'fp16'; use one of auto, bf16, no"):
        choose_precision("fp16", "cuda", A100)


def test_falling_back_is_said_once(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    _say.cache_clear()
    monkeypatch.setattr("common.training.precision.cpu_flags", lambda: OLD)
    cpu = torch.device("cpu")
    assert [precision_here(wanted, cpu) for wanted in ("auto", "no")] == ["no", "no"]
    assert capsys.readouterr().out == ""
    assert [precision_here("bf16", cpu) for _ in range(3)] == ["no"] * 3
    said = capsys.readouterr().out.splitlines()
    assert said == ["training in float32: this cpu device does not compute in bfloat16"]


def test_cpu_flags_are_what_linux_lists(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: X\nflags\t\t: fpu avx512_bf16\n\nflags\t\t: other\n")
    assert cpu_flags(path).split() == ["fpu", "avx512_bf16"]
    assert cpu_flags(tmp_path / "missing") == ""


def test_the_net_computes_in_bfloat16_and_answers_in_float32() -> None:
    net, kinds = Filter(), []
    net.linear.register_forward_hook(lambda module, given, answer: kinds.append(answer.dtype))
    magnitude = torch.rand(2, 1, TRANSFORM.n_bins, 5)
    with computing_in("bf16", net, torch.device("cpu")):
        assert net(magnitude).dtype == torch.float32
    assert net(magnitude).dtype == torch.float32
    assert kinds == [torch.bfloat16, torch.float32]


def test_training_and_validation_compute_in_the_same_precision_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("common.training.precision.cpu_flags", lambda: NEW)
    kinds: list[tuple[bool, torch.dtype]] = []

    class Watched(Filter):
        def forward(self, magnitude: Tensor) -> Tensor:
            kinds.append((self.training, self.linear(magnitude.transpose(-1, -2)).dtype))
            return super().forward(magnitude)

    net: nn.Module = Watched()
    validate = ValidationLoss(OBJECTIVE, excerpts(seed=8), n_excerpts=2)
    history = fit(net, OBJECTIVE, excerpts(), CONFIG, validate, precision="bf16")
    assert set(kinds) == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert history.precision == [(0, "bf16")]
    assert all(x.dtype == torch.float32 for x in net.parameters())


def test_a_run_that_goes_on_in_another_precision_says_from_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.training.precision.cpu_flags", lambda: NEW)

    def stops(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        if (tmp_path / "training.safetensors").exists():
            raise KeyboardInterrupt
        return OBJECTIVE(net, mixture, sources)

    with pytest.raises(KeyboardInterrupt):
        fit(Filter(), stops, excerpts(), CONFIG, folder=tmp_path, precision="bf16")
    history = fit(Filter(), OBJECTIVE, excerpts(), CONFIG, None, tmp_path, True, precision="no")
    assert history.precision == [(0, "bf16"), (CONFIG.save_every, "no")]
