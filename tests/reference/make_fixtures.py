"""Run published reference implementations once and keep what they answered.

Not part of the test suite: the references are no dependencies of this book. In an environment
that has one of them (the versions are named below),

    python tests/reference/make_fixtures.py open-unmix

writes tests/reference/NAME.safetensors: the reference's weights, an input and its outputs, all
small, with the package, its version and the configuration in the file's metadata.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent


def open_unmix() -> None:
    """openunmix 1.3.0: net, Wiener filter and whole separator, two targets, small and random."""
    sys.modules.setdefault("torchaudio", ModuleType("torchaudio"))  # imported and not used
    from openunmix.filtering import wiener
    from openunmix.model import OpenUnmix, Separator

    torch.manual_seed(0)
    sizes = {"nb_bins": 65, "nb_channels": 2, "hidden_size": 16, "max_bin": 50}
    nets = {name: OpenUnmix(**sizes) for name in ("vocals", "drums")}
    for net in nets.values():
        for name, x in [*net.named_parameters(), *net.named_buffers()]:
            if x.is_floating_point():  # so that no statistic and no scale is trivial
                noise = 0.2 * torch.randn_like(x)
                x.data += noise.abs() if name.endswith("running_var") else noise
        net.eval()
    magnitude = torch.rand(2, 2, 65, 20) ** 2
    mixture = torch.randn(12, 65, 2, 2)
    mixture[3, 5] = 0.0  # a silent bin has no phase
    magnitudes = torch.rand(12, 65, 2, 3)
    audio = 0.3 * torch.randn(1, 2, 4096)
    tensors = {
        f"{name}.{key}": x for name, net in nets.items() for key, x in net.state_dict().items()
    }
    with torch.no_grad():
        tensors |= {
            "magnitude": magnitude,
            "masked": nets["vocals"](magnitude.clone()),
            "wiener.mixture": mixture.clone(),
            "wiener.magnitudes": magnitudes,
        }
        for n_iter in (1, 2):
            tensors[f"wiener.{n_iter}"] = wiener(magnitudes.clone(), mixture.clone(), n_iter)
        separator = Separator(nets, niter=1, n_fft=128, n_hop=32, wiener_win_len=50).eval()
        tensors |= {"audio": audio, "separated": separator(audio)}
    write("open_unmix", tensors, {"package": "openunmix", "version": version("openunmix")} | sizes)


def write(name: str, tensors: dict[str, torch.Tensor], about: dict[str, object]) -> None:
    """Write one fixture."""
    tensors = {key: x.contiguous().clone() for key, x in tensors.items()}
    save_file(tensors, HERE / f"{name}.safetensors", {key: str(x) for key, x in about.items()})


REFERENCES = {"open-unmix": open_unmix}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or REFERENCES:
        REFERENCES[chosen]()
