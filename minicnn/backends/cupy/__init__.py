"""The floor on a GPU: CUDA kernels by hand, each in a ``.cu`` file beside its caller.

The same files and operations as on the textbook floor (``minicnn/backends/numpy``), where the
mathematics stands. Everything goes through the narrow door of ``device.py``. Importing this touches
no GPU; the first operation, or ``minicnn.backend.use("cupy")``, does.
"""

from minicnn.backends.cupy.activation import (
    elu as elu,
    elu_backward as elu_backward,
    exponential as exponential,
    exponential_backward as exponential_backward,
    gelu as gelu,
    gelu_backward as gelu_backward,
    hard_sigmoid as hard_sigmoid,
    hard_sigmoid_backward as hard_sigmoid_backward,
    hard_silu as hard_silu,
    hard_silu_backward as hard_silu_backward,
    leaky_relu as leaky_relu,
    leaky_relu_backward as leaky_relu_backward,
    log_softmax as log_softmax,
    log_softmax_backward as log_softmax_backward,
    mish as mish,
    mish_backward as mish_backward,
    prelu as prelu,
    prelu_backward as prelu_backward,
    relu as relu,
    relu6 as relu6,
    relu6_backward as relu6_backward,
    relu_backward as relu_backward,
    selu as selu,
    selu_backward as selu_backward,
    sigmoid as sigmoid,
    sigmoid_backward as sigmoid_backward,
    silu as silu,
    silu_backward as silu_backward,
    softmax as softmax,
    softmax_backward as softmax_backward,
    softplus as softplus,
    softplus_backward as softplus_backward,
    softsign as softsign,
    softsign_backward as softsign_backward,
    tanh as tanh,
    tanh_backward as tanh_backward,
)
from minicnn.backends.cupy.affine import (
    affine2d as affine2d,
    affine2d_backward as affine2d_backward,
)
from minicnn.backends.cupy.arrays import (
    asarray as asarray,
    take as take,
    to_numpy as to_numpy,
)
from minicnn.backends.cupy.batches import Resident as Resident
from minicnn.backends.cupy.broadcasting import sum_to_shape as sum_to_shape
from minicnn.backends.cupy.conv import (
    conv2d as conv2d,
    conv2d_backward as conv2d_backward,
    conv2d_relu as conv2d_relu,
    conv2d_relu_backward as conv2d_relu_backward,
)
from minicnn.backends.cupy.conv_transpose import (
    conv2d_transpose as conv2d_transpose,
    conv2d_transpose_backward as conv2d_transpose_backward,
)
from minicnn.backends.cupy.cross_entropy import (
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_backward as binary_cross_entropy_backward,
    binary_focal_cross_entropy as binary_focal_cross_entropy,
    binary_focal_cross_entropy_backward as binary_focal_cross_entropy_backward,
    categorical_cross_entropy as categorical_cross_entropy,
    categorical_cross_entropy_backward as categorical_cross_entropy_backward,
    categorical_focal_cross_entropy as categorical_focal_cross_entropy,
    categorical_focal_cross_entropy_backward as categorical_focal_cross_entropy_backward,
    one_hot as one_hot,
    sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy,
    sigmoid_binary_cross_entropy_backward as sigmoid_binary_cross_entropy_backward,
    softmax_cross_entropy as softmax_cross_entropy,
    softmax_cross_entropy_backward as softmax_cross_entropy_backward,
    sparse_categorical_cross_entropy as sparse_categorical_cross_entropy,
    sparse_categorical_cross_entropy_backward as sparse_categorical_cross_entropy_backward,
    sparse_softmax_cross_entropy as sparse_softmax_cross_entropy,
    sparse_softmax_cross_entropy_backward as sparse_softmax_cross_entropy_backward,
)
from minicnn.backends.cupy.dense import dense as dense, dense_backward as dense_backward
from minicnn.backends.cupy.depthwise import (
    depthwise_conv2d as depthwise_conv2d,
    depthwise_conv2d_backward as depthwise_conv2d_backward,
)
from minicnn.backends.cupy.device import prepare as prepare, set_tf32 as set_tf32
from minicnn.backends.cupy.losses import (
    categorical_hinge as categorical_hinge,
    categorical_hinge_backward as categorical_hinge_backward,
    cosine_similarity as cosine_similarity,
    cosine_similarity_backward as cosine_similarity_backward,
    hinge as hinge,
    hinge_backward as hinge_backward,
    huber as huber,
    huber_backward as huber_backward,
    kl_divergence as kl_divergence,
    kl_divergence_backward as kl_divergence_backward,
    log_cosh as log_cosh,
    log_cosh_backward as log_cosh_backward,
    mean_absolute_error as mean_absolute_error,
    mean_absolute_error_backward as mean_absolute_error_backward,
    mean_absolute_percentage_error as mean_absolute_percentage_error,
    mean_absolute_percentage_error_backward as mean_absolute_percentage_error_backward,
    mean_squared_error as mean_squared_error,
    mean_squared_error_backward as mean_squared_error_backward,
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
    mean_squared_logarithmic_error_backward as mean_squared_logarithmic_error_backward,
    poisson as poisson,
    poisson_backward as poisson_backward,
    squared_hinge as squared_hinge,
    squared_hinge_backward as squared_hinge_backward,
    tversky as tversky,
    tversky_backward as tversky_backward,
)
from minicnn.backends.cupy.normalization import (
    batch_norm as batch_norm,
    batch_norm_backward as batch_norm_backward,
    batch_norm_inference as batch_norm_inference,
    batch_norm_inference_backward as batch_norm_inference_backward,
    layer_norm as layer_norm,
    layer_norm_backward as layer_norm_backward,
)
from minicnn.backends.cupy.pooling import (
    average_pool2d as average_pool2d,
    average_pool2d_backward as average_pool2d_backward,
    global_average_pool2d as global_average_pool2d,
    global_average_pool2d_backward as global_average_pool2d_backward,
    global_max_pool2d as global_max_pool2d,
    global_max_pool2d_backward as global_max_pool2d_backward,
    max_pool2d as max_pool2d,
    max_pool2d_backward as max_pool2d_backward,
)
from minicnn.backends.cupy.random import (
    dropout as dropout,
    dropout_backward as dropout_backward,
    philox4x32 as philox4x32,
    random_bits as random_bits,
    random_normal as random_normal,
    random_uniform as random_uniform,
)
from minicnn.backends.cupy.recording import Changing as Changing, Recorder as Recorder
from minicnn.backends.cupy.reporting import (
    add_to_mean as add_to_mean,
    categorical_matches as categorical_matches,
    mean_loss as mean_loss,
    sparse_matches as sparse_matches,
)
from minicnn.backends.cupy.resampling import (
    crop2d as crop2d,
    crop2d_backward as crop2d_backward,
    upsample2d as upsample2d,
    upsample2d_backward as upsample2d_backward,
    zero_pad2d as zero_pad2d,
    zero_pad2d_backward as zero_pad2d_backward,
)
from minicnn.backends.cupy.status import gpu_status as gpu_status
from minicnn.backends.cupy.updates import (
    adadelta as adadelta,
    adagrad as adagrad,
    adam as adam,
    adamax as adamax,
    clip_by_norm as clip_by_norm,
    clip_by_value as clip_by_value,
    lion as lion,
    nadam as nadam,
    rmsprop as rmsprop,
    sgd as sgd,
    sgd_momentum as sgd_momentum,
    weight_decay as weight_decay,
)

# predict takes small batches together up to so many samples: it waits for the GPU after each.
SAMPLES_AT_ONCE = 1024
