"""Plain data between the grader and a learner's process: messages over a socket, and nothing that could run.

A message is two lengths, a JSON text, and the bytes of its tensors. What may cross: None, booleans, integers, floats,
strings, bytes, lists, tuples, dictionaries, `...`, numpy scalars and arrays, and tensors, by dtype, shape and bytes. Of
anything else only the name of its type crosses. Nothing is unpickled, and what is read is bounded in size and depth.
"""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch  # imported where a tensor is seen: who sends jobs needs none

JSON_BYTES, BLOB_BYTES = 16 << 20, 512 << 20
DEPTH = 24
KEYS = 1000  # of a dictionary, unless they are strings: others can be chosen to collide, which takes n^2 time
NAME = 60  # characters of a type's name
_LENGTHS = struct.Struct(">II")
_DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
)
_SCALARS = ("float64", "float32", "int64", "int32", "bool_", "bool")


class Garbled(ValueError):
    """The other side sent what is no message, or too much."""


class Silent(TimeoutError):
    """The other side did not answer in time."""


class HungUp(EOFError):
    """The other side is gone."""


class Opaque:
    """Stands for a value that cannot cross; its type has the name of the value's."""


def opaque(name: str) -> Opaque:
    """An `Opaque` whose type has that name, as far as it is one."""
    return type(name if name.isidentifier() and len(name) <= NAME else "object", (Opaque,), {})()


class Channel:
    """One end of a socket, for messages."""

    def __init__(self, socket: socket.socket):
        self.socket = socket

    def send(self, message: Any, seconds: float = 60.0) -> None:
        """Send one message; `HungUp` if nobody listens, `Silent` if nobody reads it, TypeError if it is too big."""
        blob = bytearray()
        text = json.dumps(encode(message, blob)).encode()
        if len(text) > JSON_BYTES or len(blob) > BLOB_BYTES:
            raise TypeError("it is too big to be handed over")
        self.socket.settimeout(seconds)
        try:
            self.socket.sendall(_LENGTHS.pack(len(text), len(blob)) + text)
            if blob:
                self.socket.sendall(blob)
        except TimeoutError:
            raise Silent from None
        except OSError:
            raise HungUp from None

    def receive(self, seconds: float = math.inf) -> Any:
        """The next message; `HungUp`, `Silent` or `Garbled`."""
        until = time.monotonic() + seconds
        n_text, n_blob = _LENGTHS.unpack(self._read(_LENGTHS.size, until))
        if n_text > JSON_BYTES or n_blob > BLOB_BYTES:
            raise Garbled("the message is too big")
        text, blob = self._read(n_text, until), self._read(n_blob, until)
        try:
            return decode(json.loads(text), blob)
        except Exception as error:  # whatever it is, memory that ran out too, it is the sender's doing
            raise Garbled(f"no message: {type(error).__name__}") from None

    def _read(self, n: int, until: float) -> bytearray:
        read = bytearray()
        while len(read) < n:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], None if math.isinf(left) else left)[0]:
                raise Silent
            self.socket.setblocking(True)
            try:
                more = self.socket.recv(min(n - len(read), 1 << 20))
            except OSError:
                raise HungUp from None
            if not more:
                raise HungUp
            read += more
        return read


def encode(value: Any, blob: bytearray, depth: int = 0) -> Any:
    """A value as JSON data, with the bytes of tensors appended to ``blob``. Subclasses are not what they extend."""
    if depth > DEPTH:
        raise TypeError("it is nested too deeply")
    if value is None or type(value) in (bool, float, str):
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**63 else {"is": "integer", "text": hex(value)[:10_000]}
    if value is ...:
        return {"is": "ellipsis"}
    if type(value) is bytes:
        blob += value
        return {"is": "bytes", "from": len(blob) - len(value), "n": len(value)}
    if type(value) in (list, tuple):
        return {"is": type(value).__name__, "of": [encode(one, blob, depth + 1) for one in value]}
    if type(value) is dict:
        if len(value) > KEYS and not all(type(key) is str for key in value):
            raise TypeError("it is too big to be handed over")
        return {
            "is": "dict",
            "of": [[encode(k, blob, depth + 1), encode(v, blob, depth + 1)] for k, v in value.items()],
        }
    kind = type(value)
    if kind.__module__ == "mechpuzzles.limits" and kind.__name__ == "Exceeded":
        return {"is": "exceeded", "limit": value.limit, "what": value.what}
    if kind.__module__ == "numpy" and kind.__name__ in _SCALARS:
        return {"is": "scalar", "type": kind.__name__, "of": value.item()}
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray" and value.dtype.kind in "fiubc":
        import torch

        return {"is": "array", "of": encode(torch.from_numpy(value.copy()), blob, depth + 1)}
    if kind.__module__ in ("torch", "torch.nn.parameter") and kind.__name__ in ("Tensor", "Parameter"):
        return _encode_tensor(value, blob)
    return {"is": "opaque", "type": type(value).__name__[:NAME]}


def _encode_tensor(value: torch.Tensor, blob: bytearray) -> dict[str, Any]:
    import torch

    name = str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided or name not in _DTYPES:
        return {"is": "opaque", "type": f"{name}Tensor"}
    flat = value.detach().cpu().contiguous().reshape(-1)
    start = len(blob)
    if flat.numel():
        blob += flat.view(torch.uint8).numpy().tobytes()
    return {"is": "tensor", "dtype": name, "shape": list(value.shape), "from": start}


def crosses(value: Any) -> bool:
    """Whether a value crosses whole."""

    def whole(data: Any) -> bool:
        if type(data) is dict:
            return data.get("is") != "opaque" and all(map(whole, data.values()))
        return all(map(whole, data)) if type(data) is list else True

    return whole(encode(value, bytearray()))


def public_attributes(value: Any) -> dict[str, Any]:
    """The attributes of a value whose names have no underscore in front."""
    return {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}


def plain_attributes(value: Any) -> dict[str, Any]:
    """The public attributes of a value that are numbers or strings: those that a function held elsewhere has here."""
    return {name: got for name, got in public_attributes(value).items() if type(got) in (bool, int, float, str)}


def reaches(value: Any) -> bool:
    """Whether all of a value is to be had on the other side: it crosses, or is a function with plain attributes."""
    return crosses(value) or (callable(value) and plain_attributes(value) == public_attributes(value))


def decode(data: Any, blob: bytearray, depth: int = 0) -> Any:
    """What `encode` made into data, as new values; ValueError, TypeError or KeyError for anything else."""
    if depth > DEPTH:
        raise Garbled("nested too deeply")
    if data is None or type(data) in (bool, int, float, str):
        return data
    match data["is"]:
        case "list":
            return [decode(one, blob, depth + 1) for one in data["of"]]
        case "tuple":
            return tuple(decode(one, blob, depth + 1) for one in data["of"])
        case "dict" if len(data["of"]) <= KEYS or all(type(key) is str for key, _ in data["of"]):
            return {decode(k, blob, depth + 1): decode(v, blob, depth + 1) for k, v in data["of"]}
        case "bytes" if 0 <= data["from"] <= data["from"] + data["n"] <= len(blob):
            return bytes(blob[data["from"] : data["from"] + data["n"]])
        case "ellipsis":
            return ...
        case "integer":
            return int(data["text"][:10_000], 16)
        case "scalar" if data["type"] in _SCALARS:
            import numpy

            return getattr(numpy, data["type"])(data["of"])
        case "exceeded" if data["limit"] in ("memory", "time"):
            from mechpuzzles.limits import Exceeded

            return Exceeded(data["limit"], str(data["what"])[:200])
        case "array":
            return decode(data["of"], blob, depth + 1).numpy()
        case "tensor":
            return _tensor(data["dtype"], [int(size) for size in data["shape"]], int(data["from"]), blob)
        case "opaque":
            return opaque(str(data["type"]))
    raise Garbled("an unknown kind of value")


def _tensor(name: str, shape: list[int], start: int, blob: bytearray) -> torch.Tensor:
    import torch

    if name not in _DTYPES or min(shape, default=0) < 0 or len(shape) > DEPTH:
        raise Garbled("a tensor without type or shape")
    dtype = getattr(torch, name)
    end = start + math.prod(shape) * dtype.itemsize
    if not 0 <= start <= end <= len(blob):
        raise Garbled("a tensor without its bytes")
    if start == end:
        return torch.empty(shape, dtype=dtype)
    raw = torch.frombuffer(bytearray(blob[start:end]), dtype=torch.uint8)
    if dtype == torch.bool:
        raw = (raw != 0).view(torch.uint8)  # any other byte would be neither true nor false
    return raw.view(dtype).reshape(shape)
