"""The kernels compiled the way retro does it: same code objects, compiled callees put in their place."""

import math
from collections.abc import Callable
from functools import cache
from types import FunctionType

import numpy as np

from core.signals import kernels


@cache
def compiled() -> kernels.Kernels:
    """Kernels of njit'ed functions over contiguous arrays; callees are compiled before their callers."""
    import numba

    names: dict[str, object] = {"__name__": kernels.__name__, "math": math}
    done: list[Callable] = []
    for plain in kernels.FUNCTIONS:
        done.append(numba.njit(cache=True)(FunctionType(plain.__code__, names, plain.__name__)))
        names[plain.__name__] = done[-1]
    return kernels.Kernels(np.ascontiguousarray, *done)
