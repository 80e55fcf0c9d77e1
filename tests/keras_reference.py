"""Gradients through Keras, whichever backend it runs on."""

import numpy as np


def keras_gradient(f, *arrays):
    """``(value, gradients)`` of a function of Keras tensors, NumPy in and NumPy out.

    Args:
        f: takes as many tensors as there are arrays, computes with ``keras.ops`` (or calls a
            layer's ``stateless_call``), and returns one number as a tensor.
        arrays: where to differentiate; float32, which is what JAX computes with.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        everything = tuple(range(len(arrays)))
        tensors = [jax.numpy.asarray(a) for a in arrays]
        value, gradients = jax.value_and_grad(f, argnums=everything)(*tensors)
    elif keras.backend.backend() == "torch":
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        value = f(*tensors)
        gradients = torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True)
        value = value.detach()
    else:
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = f(*tensors)
        gradients = tape.gradient(value, tensors, unconnected_gradients="zero")
    return np.asarray(value), [np.asarray(g) for g in gradients]
