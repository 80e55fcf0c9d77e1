"""Who is compared. Each runs in a process of its own: ``process.py`` starts it and asks,
``worker.py`` answers, ``like_keras.py``, ``torch_peer.py`` and ``jax_peer.py`` do the work."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

from benchmarks.course import CourseModel
from benchmarks.sketch import has_convolution

DEVICES = ("cpu", "gpu")


@dataclass(frozen=True)
class Peer:
    """One way to train a model.

    Attributes:
        name: on the command line and in the JSON file.
        family: ``"minicnn"``, ``"keras"``, ``"torch"`` (its usual training loop), ``"torch-fused"``
            (with an argument that few know) or ``"jax"``.
        column: where the tables show it. Peers that share a column differ in one setting; the
            table shows the faster one.
        mark: what tells it apart there.
        needs: the packages without which it cannot run.
        options: what its class is made with.
        environment: variables of its process. ``"{temporary}"`` stands for a new, empty folder.
        standard: the devices on which it takes part if nobody is named.
    """

    name: str
    family: str
    column: str
    needs: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    mark: str = ""
    standard: tuple[str, ...] = DEVICES

    @property
    def installed(self) -> bool:
        """Whether its packages are there. Nothing is imported to find out."""
        return all(importlib.util.find_spec(package) for package in self.needs)

    def suits(self, model: CourseModel) -> bool:
        """Whether its setting makes a difference for this model: layouts matter to convolutions
        alone, and PyTorch has no fused RMSprop."""
        if self.options.get("channels_last") and not has_convolution(model):
            return False
        return not (self.options.get("fused") and model.optimizer == "rmsprop")


def _keras(backend: str, column: str) -> Peer:
    return Peer(
        f"keras-{backend}",
        "keras",
        column,
        ("keras", backend),
        {"package": "keras"},
        {"KERAS_BACKEND": backend},
    )


def _torch(column: str, setting: str = "", channels_last: bool = False) -> Peer:
    name = f"torch-{setting}" if setting else "torch"
    return Peer(
        f"{name}-channels-last" if channels_last else name,
        "torch-fused" if setting == "fused" else "torch",
        column,
        ("torch",),
        {"channels_last": channels_last, **({setting: True} if setting else {})},
        # Without a folder of its own it would find what an earlier run compiled.
        {"TORCHINDUCTOR_CACHE_DIR": "{temporary}"} if setting == "compiled" else {},
        "channels last" if channels_last else "",
    )


PEERS = {
    peer.name: peer
    for peer in (
        Peer("minicnn", "minicnn", "minicnn", (), {"package": "minicnn"}),
        Peer(
            "minicnn-textbook", "minicnn", "textbook floor", (), {"package": "minicnn"},
            {"MINICNN_BACKEND": "numpy"}, standard=(),
        ),
        _keras("tensorflow", "Keras/TensorFlow"),
        _keras("jax", "Keras/JAX"),
        _keras("torch", "Keras/torch"),
        _torch("PyTorch"),
        _torch("PyTorch", channels_last=True),
        _torch("torch.compile", "compiled"),
        _torch("torch.compile", "compiled", channels_last=True),
        _torch("PyTorch, fused", "fused"),
        _torch("PyTorch, fused", "fused", channels_last=True),
        Peer("jax", "jax", "JAX", ("jax",), standard=("gpu",)),
    )
}  # fmt: skip

# For all: a comparison on one device, whatever else the machine has, and no chatter.
ENVIRONMENTS = {
    "cpu": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
    "gpu": {
        "MINICNN_BACKEND": "cupy",
        "JAX_PLATFORMS": "cuda,cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # float32 is float32: no TensorFloat-32 in NVIDIA's libraries, nor in XLA's own products.
        "NVIDIA_TF32_OVERRIDE": "0",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",
        # Nobody takes the whole memory of the GPU for himself.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    },
}
