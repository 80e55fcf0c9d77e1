"""PyTorch with its usual training loop, eager or compiled."""

from __future__ import annotations

from typing import Any

from benchmarks.course import CourseModel
from benchmarks.sketch import Part, sketch


class Torch:
    """The course's models in PyTorch, with Keras's hyperparameters.

    It gets the easier task: its data are tensors already, in the layout that it wants, its labels
    are class numbers, the softmax is left to the loss, and nobody asks it for the accuracy.

    Args:
        compiled: whether the model goes through ``torch.compile``.
        channels_last: whether pictures lie in memory as in Keras, or as PyTorch has them otherwise.
        fused: whether the optimizer is asked to update all weights in one pass. It does not do so
            by itself on a CPU.
        device: ``"cpu"``, or ``"gpu"``: then its data lie on the GPU, and what is compiled is
            recorded as CUDA graphs (``mode="reduce-overhead"``).

    Raises:
        RuntimeError: if there should be a GPU and PyTorch sees none.
    """

    def __init__(
        self,
        compiled: bool = False,
        channels_last: bool = False,
        fused: bool = False,
        device: str = "cpu",
    ):
        import torch

        self.torch, self.on_gpu = torch, device == "gpu"
        if self.on_gpu:
            use_gpu(torch)
        self.device = torch.device("cuda" if self.on_gpu else "cpu")
        self.compiled, self.channels_last, self.fused = compiled, channels_last, fused

    @property
    def backend(self) -> str:
        """What does the arithmetic."""
        if not self.compiled:
            return "eager"
        return "inductor, reduce-overhead" if self.on_gpu else "inductor"

    def build(
        self, course: CourseModel, dropout: bool = True, optimizer: str | None = None
    ) -> None:
        """Make the model, the loss and the optimizer (``optimizer``, or the lesson's)."""
        torch = self.torch
        self.course, self.parts = course, sketch(course, dropout)
        modules = [module for part in self.parts for module in self._modules(part)]
        self.model = torch.nn.Sequential(*modules).to(self.device)
        if self.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        mode = "reduce-overhead" if self.on_gpu else None
        if self.compiled:
            # As in a new process. The compiler takes all models for one function: without this it
            # makes their sizes variable, and leaves uncompiled what comes after the eighth.
            torch.compiler.reset()
        self.run = torch.compile(self.model, mode=mode) if self.compiled else self.model
        self.criterion = torch.nn.CrossEntropyLoss()
        weights, fused = self.model.parameters(), {"fused": True} if self.fused else {}
        self.optimizer = {
            "sgd": lambda: torch.optim.SGD(weights, lr=0.01, **fused),
            "adam": lambda: torch.optim.Adam(weights, lr=0.001, eps=1e-7, **fused),
            "rmsprop": lambda: torch.optim.RMSprop(weights, lr=0.001, alpha=0.9, eps=1e-7),
        }[optimizer or course.optimizer]()

    def _modules(self, part: Part) -> list[Any]:
        """What stands for one layer. The softmax at the end belongs to the loss."""
        nn, options = self.torch.nn, part.options
        modules = []
        if part.kind == "Conv2D":
            border = options["kernel_size"] // 2 if options["padding"] == "same" else 0
            channels = part.input_shape[-1]
            modules.append(
                nn.Conv2d(channels, options["filters"], options["kernel_size"], padding=border)
            )
        elif part.kind == "MaxPooling2D":
            modules.append(nn.MaxPool2d(options["pool_size"], options["strides"]))
        elif part.kind == "Dropout":
            modules.append(nn.Dropout(options["rate"]))
        elif part.kind == "Flatten":
            modules.append(nn.Flatten())
        elif part.kind == "Dense":
            modules.append(nn.Linear(part.input_shape[0], options["units"]))
        activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}.get(options.get("activation"))
        return [*modules, activation()] if activation else modules

    def set_weights(self, weights: list[Any]) -> None:
        """Arrays in Keras's order and layout."""
        torch, arrays, picture = self.torch, iter(weights), ()
        layers = iter(m for m in self.model if hasattr(m, "weight"))
        for part in self.parts:
            if part.kind == "Flatten":
                picture = part.input_shape
            if not part.weights:
                continue
            W, b, layer = next(arrays), next(arrays), next(layers)
            if part.kind == "Conv2D":
                W = W.transpose(3, 2, 0, 1)
            else:
                if picture:  # Keras flattens (h, w, c), PyTorch (c, h, w)
                    W = W.reshape(*picture, -1).transpose(2, 0, 1, 3).reshape(len(W), -1)
                    picture = ()
                W = W.T
            with torch.no_grad():
                layer.weight.copy_(torch.tensor(W))
                layer.bias.copy_(torch.tensor(b))

    def prepare(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Pictures and labels as tensors (n, c, h, w) and (n,)."""
        torch = self.torch
        # A view: its memory is channels last.
        x = torch.from_numpy(x).to(self.device).permute(0, 3, 1, 2)
        y = torch.from_numpy(y).to(self.device)
        return (x if self.channels_last else x.contiguous()), y

    def fit(self, x: Any, y: Any) -> float:
        """One epoch; returns its mean loss."""
        torch = self.torch
        self.model.train()
        total = torch.zeros((), device=self.device)
        for rows in torch.randperm(len(x), device=self.device).split(self.course.batch_size):
            if self.compiled and self.on_gpu:
                torch.compiler.cudagraph_mark_step_begin()
            self.optimizer.zero_grad()
            loss = self.criterion(self.run(self._take(x, rows)), y[rows])
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(rows)
        if self.on_gpu:
            torch.cuda.synchronize()
        return float(total) / len(x)

    def _take(self, x: Any, rows: Any) -> Any:
        """These pictures, in the same layout."""
        layout = self.torch.channels_last if self.channels_last else self.torch.contiguous_format
        return x[rows].contiguous(memory_format=layout)

    def predict(self, x: Any) -> Any:
        """Probabilities (n, classes), as a NumPy array."""
        self.model.eval()
        with self.torch.inference_mode():
            parts = [self.run(part).softmax(1) for part in x.split(self.course.batch_size)]
            return self.torch.cat(parts).cpu().numpy()


def use_gpu(torch: Any) -> None:
    """Make sure that there is a GPU, that float32 is float32 on it, and that cuDNN tries out which
    of its algorithms is the fastest.

    Raises:
        RuntimeError: if PyTorch sees no GPU.
    """
    if not torch.cuda.is_available():
        raise RuntimeError("this PyTorch sees no GPU")
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = True
