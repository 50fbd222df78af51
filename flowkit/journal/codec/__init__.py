"""Values as JSON text and back, exactly.

What goes in comes back equal and of the same types, or is refused with its place,
its type and a cure. Five rules of this file:

1. What JSON has is written as it is. Anything else is an object with one key that
   begins with ``!`` (``{"!tuple": [1, 2]}``); a dictionary whose own keys would
   look like that, or are not text, is written as ``!dict``.
2. A class is written as ``module:Name`` and must be found under that name at once;
   :func:`alias` tells where a renamed one is.
3. Reading makes values of the built-in types above, dataclasses, enum members,
   pydantic models, named tuples and exceptions, and nothing else, without a call to
   ``__init__``, a validator or ``__reduce__``. It imports the module that a class's
   name says, so a store is trusted as much as the path modules are found on. A field
   that a class has gained takes its default; one it has lost is left out.
4. An exception can always be written: what it holds and cannot be stored is left
   out, and a class that cannot be found again comes back as :class:`RestoredError`.
5. Equal sets give equal text. Shared objects come back as separate ones; private
   attributes of models, caches and tracebacks are not kept; a time zone that is
   neither fixed nor a ``ZoneInfo`` comes back as its offset at that moment.
"""

from flowkit.errors import RestoredError, UnreadableError, UnstorableError
from flowkit.journal.codec.loose import Lost, decode_loosely
from flowkit.journal.codec.names import (
    alias,
    aliased,
    class_of,
    former_names,
    type_name,
    widen_by,
)
from flowkit.journal.codec.reading import decode, from_plain, roundtrip
from flowkit.journal.codec.text import write
from flowkit.journal.codec.values import keyed
from flowkit.journal.codec.writing import encode, to_plain

__all__ = [
    "Lost",
    "RestoredError",
    "UnreadableError",
    "UnstorableError",
    "alias",
    "aliased",
    "class_of",
    "decode",
    "decode_loosely",
    "encode",
    "former_names",
    "from_plain",
    "keyed",
    "roundtrip",
    "to_plain",
    "type_name",
    "widen_by",
    "write",
]
