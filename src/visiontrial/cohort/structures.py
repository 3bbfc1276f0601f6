"""Named tuples of arrays as structures that compiled code passes by reference.

Numba takes a tuple apart wherever it is handed on: with some seventy arrays, every call of every
function carried hundreds of arguments, which made the engine slow to compile and slower to run.
A structure is one pointer. It shares its arrays with the tuple it was made from, so that what
compiled code changes in one is changed in the other.
"""

from __future__ import annotations

import sys

from numba import types
from numba.experimental import structref


class _Structure(types.StructRef):
    def preprocess_fields(self, fields):
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


def structure_of(named_tuple: type) -> type:
    """The structure with the fields of a named tuple class.

    Compiled code makes one with `Structure(*tuple)` and reads its fields by name.
    """
    name = named_tuple.__name__ + "Structure"
    kind = type(name + "Type", (_Structure,), {"__module__": named_tuple.__module__})
    # Found by name in its module, it is the same class in every process that reads compiled code back.
    setattr(sys.modules[named_tuple.__module__], kind.__name__, kind)
    structref.register(kind)
    proxy = type(name, (structref.StructRefProxy,), {"__module__": named_tuple.__module__})
    structref.define_proxy(proxy, kind, list(named_tuple._fields))
    return proxy
