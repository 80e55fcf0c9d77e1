"""Distances and divergences: the textbook's text, whose arrays CuPy works out on the GPU.

None of them is where a training step spends its time: they see one number, or a few, a sample.
"""

from minicnn.backends.numpy.losses import (
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
