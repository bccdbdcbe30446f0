"""Run published reference implementations once and keep what they answered.

Not part of the test suite: the references are no dependencies of this book. In an environment
that has one of them (the versions are named below),

    python tests/reference/make_fixtures.py open-unmix

writes tests/reference/NAME.safetensors (book/reference/spleeter.safetensors, which a chapter reads
too): the reference's weights, an input and its outputs, all small, with the package, its version
and the configuration in the file's metadata.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
BOOK = HERE.parents[1] / "book" / "reference"


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
        window = {"n_fft": 128, "n_hop": 32, "wiener_win_len": 50}
        separator = Separator(nets, niter=1, **window).eval()
        tensors |= {"audio": audio, "separated": separator(audio)}
        # One target, and what it leaves over as a second source.
        alone = Separator({"vocals": nets["vocals"]}, niter=1, residual=True, **window).eval()
        tensors["alone"] = alone(audio)[:, :1]
    about = {"package": "openunmix", "version": version("openunmix")}
    write(HERE / "open_unmix.safetensors", tensors, about | sizes)


def spleeter() -> None:
    """spleeter 2.4.2 on TensorFlow 2.12: two stems and four, each with its activations, whole.

    The nets are small and random, audio is separated from end to end; of both families the last
    stem's masked magnitudes are kept as well. Names of weights are those of published checkpoints.
    """
    import tensorflow as tf
    from spleeter.model import EstimatorSpecBuilder

    rng = np.random.default_rng(0)
    channels = [2, 3, 4, 5, 6, 7]
    audio = (0.3 * rng.standard_normal((1500, 2))).astype(np.float32)
    tensors = {"audio": audio}
    elu = {"conv_activation": "ELU", "deconv_activation": "ELU"}
    for family, instruments, activations in (
        ("2stems", ["vocals", "accompaniment"], {}),
        ("4stems", ["vocals", "drums", "bass", "other"], elu),
    ):
        weights: dict[str, np.ndarray] = {}
        for extension in ("zeros", "average"):
            config = {
                "mix_name": "mix",
                "instrument_list": instruments,
                "n_channels": 2,
                "T": 64,
                "F": 64,
                "frame_length": 256,
                "frame_step": 64,
                "separation_exponent": 2,
                "mask_extension": extension,
                "model": {
                    "type": "unet.unet",
                    "params": {"conv_n_filters": channels, **activations},
                },
            }
            with tf.Graph().as_default(), tf.compat.v1.Session() as session:
                builder = EstimatorSpecBuilder({"waveform": tf.constant(audio)}, config)
                stems, masked = builder.outputs, builder.model_outputs
                for variable in tf.compat.v1.global_variables():
                    name, shape = variable.op.name, variable.shape.as_list()
                    if name not in weights:  # so that no statistic and no offset is trivial
                        noise = rng.standard_normal(shape) * (0.2 if len(shape) == 4 else 0.3)
                        level = 1.0 if name.endswith(("gamma", "moving_variance")) else 0.0
                        weights[name] = np.abs(noise + level) if level else noise
                    variable.load(weights[name].astype(np.float32), session)
                for name in instruments:
                    tensors[f"{family}.{extension}.{name}"] = session.run(stems[name])
                last = masked[f"{instruments[-1]}_spectrogram"]
                tensors[f"{family}.masked"] = session.run(last)
        tensors |= {f"{family}.{name}": x.astype(np.float32) for name, x in weights.items()}
    about = {"package": "spleeter", "version": version("spleeter"), "tensorflow": tf.__version__}
    found = {name: torch.from_numpy(np.array(x)) for name, x in tensors.items()}
    about |= {"channels": channels, "n_fft": 256, "hop_length": 64}
    write(BOOK / "spleeter.safetensors", found, about)


def write(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, object]) -> None:
    """Write one fixture."""
    tensors = {key: x.contiguous().clone() for key, x in tensors.items()}
    save_file(tensors, path, {key: str(x) for key, x in about.items()})


REFERENCES = {"open-unmix": open_unmix, "spleeter": spleeter}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or REFERENCES:
        REFERENCES[chosen]()
