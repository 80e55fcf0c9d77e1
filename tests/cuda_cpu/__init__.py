"""The cupy floor without a GPU: its kernels and its host code on one CPU, for tests.

- ``cuda_cpu.h`` supplies the CUDA names, so that g++ can build a ``.cu`` file as it is.
- ``compiling.py`` builds and loads one: a kernel is then called on NumPy arrays.
- ``cublas.cpp`` stands in for the one function of cuBLAS that the floor calls.
- ``arrays.py`` is an array that behaves as CuPy's does where it matters: it refuses to turn into a
  NumPy array by itself, and while a step is recorded it notes what to do instead of doing it.
- ``door.py`` puts these behind the floor's narrow door (``minicnn.backends.cupy.device``), and
  ``floor.py`` makes a floor of it that takes and gives NumPy arrays, as the tests that run over all
  floors want.

They need Linux and g++; :func:`reason_to_skip` says what is missing.
"""

from cuda_cpu.compiling import reason_to_skip as reason_to_skip
