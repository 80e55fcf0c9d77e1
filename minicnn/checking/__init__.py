"""Gradients against finite differences."""

from minicnn.checking.differences import numerical_gradient, relative_error
from minicnn.checking.gradients import gradient_check
from minicnn.checking.report import GradientCheck, Row

__all__ = ["GradientCheck", "Row", "gradient_check", "numerical_gradient", "relative_error"]
