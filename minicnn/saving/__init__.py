"""Models in files, as Keras 3 writes them: ``.keras`` and ``.weights.h5``.

``files.py`` saves and loads; ``write_config.py`` and ``read_config.py`` turn a model into plain
data and back, ``weights.py`` and ``optimizer_state.py`` say where its numbers lie; ``archive.py``,
``hdf5.py`` and ``strict_json.py`` read what a stranger may have written; ``atomic.py`` writes.
"""

from minicnn.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from minicnn.saving.clone import clone_model
from minicnn.saving.files import (
    load_model,
    load_weights,
    model_from_json,
    save_model,
    save_weights,
    to_json,
)

__all__ = [
    "CustomObjectScope",
    "clone_model",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "to_json",
]
