"""Models in files, as Keras 3 writes them: ``.keras`` and ``.weights.h5``, and its older ``.h5``.

- ``files.py`` saves and loads; ``training_state.py`` keeps a training that is to be resumed.
- ``write_config.py`` turns a model into plain data, ``read_config.py`` makes one of them (within
  what ``budget.py`` allows), ``compile_config.py`` does both for what ``compile`` was told.
- ``weights.py``, ``optimizer_state.py`` and ``random_state.py`` say where a model's numbers lie,
  ``legacy.py`` where Keras 2 put them; ``older_config.py`` brings its configurations into today's
  form.
- ``archive.py``, ``hdf5.py`` (with ``hdf5_texts.py``) and ``strict_json.py`` read what a stranger
  may have written, ``atomic.py`` writes.
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
from minicnn.saving.objects import deserialize_keras_object, serialize_keras_object

__all__ = [
    "CustomObjectScope",
    "clone_model",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
    "to_json",
]
