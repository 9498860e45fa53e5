"""One way to compile: cached on disk, without the GIL, without fast-math, once per function.

Fast-math stays off because the same log must give the same bits. A kernel states the types of its
arguments, so that it is compiled for these and no others: ``@kernel("Shard, int, floats")``. Words that
may be used are the keys of :data:`TYPES`. Kernels that take the big structs have no Python wrapper unless
they are an ``entry``, which saves half of the compile time. Whatever is no entry is read from the disk only
when it is called, or when one that calls it is compiled: kept machine code holds what it calls, and a server
starts two seconds sooner. ``NUMBA_DISABLE_JIT=1`` runs every kernel as plain Python, which is how their
coverage is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from headwater.engine.kernels.layout import Items, Shard, Tables, Work
from headwater.engine.kernels.machine_code import SETTINGS, announce, compiled, kept

Function = TypeVar("Function", bound=Callable[..., Any])


def _array(element: types.Type, dimensions: int, *, readonly: bool = False) -> types.Array:
    return types.Array(element, dimensions, "C", readonly=readonly)


def _struct(shape: type, dimensions: str, elements: str) -> types.NamedTuple:
    kinds = {"i": types.int64, "f": types.float64, "b": types.uint8}
    fields = [_array(kinds[e], int(d)) for d, e in zip(dimensions, elements, strict=True)]
    return types.NamedTuple(fields, shape)  # type: ignore[no-untyped-call]


TYPES: dict[str, types.Type] = {
    "int": types.int64,
    "float": types.float64,
    "bool": types.boolean,
    "ints": _array(types.int64, 1),
    "given": _array(types.int64, 1, readonly=True),  # what may belong to somebody else
    "floats": _array(types.float64, 1),
    "bytes": _array(types.uint8, 1),
    "places": _array(types.int32, 1),
    "ints2": _array(types.int64, 2),
    "floats2": _array(types.float64, 2),
    "bytes2": _array(types.uint8, 2),
    "pair": types.UniTuple(types.int64, 2),  # type: ignore[no-untyped-call]
    "four": types.UniTuple(types.int64, 4),  # type: ignore[no-untyped-call]
    "Shard": _struct(Shard, "1111222", "ifbiifi"),
    "Tables": _struct(Tables, "1222222211", "iiiiiiiifi"),
    "Items": _struct(Items, "1111222", "iibiifb"),
    "Work": _struct(Work, "11121111111111111112211111", "iiiiiiiifiififffffiiiifffi"),
}


announce()


def kernel(
    arguments: str, *, entry: bool = False, allocates: bool = False, inline: bool = False
) -> Callable[[Function], Function]:
    """Compile a function for the named argument types.

    ``inline`` puts it into its callers, for the ones whose call would cost as much as their work: a struct
    is passed as all the words of all its arrays.
    """
    words = [word.strip() for word in arguments.split(",")]
    bare = not entry and any(word[0].isupper() for word in words)
    signature = tuple(TYPES[word] for word in words)
    jit = kept(
        signature if entry else None,
        nogil=True,
        no_cpython_wrapper=bare,
        no_cfunc_wrapper=not entry,
        forceinline=inline,
        _nrt=allocates,
    )

    def late(function: Function) -> Function:
        return _when_called(jit(function), signature)

    return jit if entry else late


def _when_called(kernel_: Function, signature: tuple[types.Type, ...]) -> Function:
    """Compile for the signature, and no other, when it is called, or when its first caller is compiled."""
    if SETTINGS.DISABLE_JIT:
        return kernel_
    dispatcher: Any = kernel_
    template = dispatcher.get_call_template

    def once() -> Any:
        with global_compiler_lock:  # numba's own: whoever compiles a caller has it already
            return dispatcher if dispatcher.signatures else compiled(dispatcher, signature)

    def get_call_template(arguments: Any, keywords: Any) -> Any:
        once()
        return template(arguments, keywords)

    dispatcher.get_call_template = get_call_template
    dispatcher._compile_for_args = lambda *_arguments: once()  # noqa: SLF001 - numba calls what it gets
    return kernel_


def _fetch(_context: Any, array: types.Array, index: types.Integer) -> tuple[Any, Any]:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [place.type, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), shape)
        builder.call(prefetch, [place, word(0), word(3), word(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, index), codegen


def _nothing(_array: Any, _index: int) -> None:
    """Without machine code there is nothing to ask for."""


fetch: Callable[[Any, int], None] = _nothing if SETTINGS.DISABLE_JIT else intrinsic(_fetch)  # type: ignore[assignment]
"""``fetch(array, index)`` asks for an element's memory, counted as in one dimension; it need not exist."""
