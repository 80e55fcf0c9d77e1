"""Models as ONNX files, which other programs can run: ``model.export("m.onnx")``.

``network.py`` walks through a model's graph, ``layers.py`` and ``activations.py`` say what each
layer is in ONNX, ``builder.py`` collects the pieces.
"""

from minicnn.exporting.network import export_onnx

__all__ = ["export_onnx"]
