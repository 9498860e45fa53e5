"""What the compiler of a caller reads of a kernel, kept unread beside the machine code that runs.

::

    numba keeps   machine code + the code before it, for callers      both are parsed at each start
    here          machine code + its entries ║ the code before it     parsed when a caller is compiled

The code before the machine code is the larger part by far, and to parse it took two thirds of the time that
it takes to load the kernels; yet a process that finds all kernels compiled never needs it. Both stay in
numba's own file. Called by ``machine_code``.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding  # type: ignore[import-untyped]


def unparsed(dispatcher: Any) -> Any:
    """Let a dispatcher's kept code for callers be parsed only when one is compiled.

    Args:
        dispatcher: numba's, with a cache, and not compiled yet.
    """
    form = dispatcher._cache._impl  # how a result is put into a file, and taken out
    reduce, rebuild = form.reduce, form.rebuild

    def reduced(made: Any) -> tuple[Any, bytes]:
        library = made.library
        whole = library._get_module_for_linking()
        library._shared_module = _entries(made, whole)
        try:
            return reduce(made), whole.as_bitcode()
        finally:
            library._shared_module = whole

    def rebuilt(context: Any, kept: tuple[Any, bytes]) -> Any:
        payload, code = kept
        found = rebuild(context, payload)
        library = found.library

        def whole() -> Any:
            library._shared_module = binding.parse_bitcode(code)
            del library._get_module_for_linking  # the class's own gives it from now on
            return library._shared_module

        library._get_module_for_linking = whole
        return found

    form.reduce, form.rebuild = reduced, rebuilt
    return dispatcher


def _entries(made: Any, whole: Any) -> Any:
    """A module in which a kernel's entries are defined with nothing behind them: they are only looked up."""
    known = made.fndesc
    own = {known.llvm_func_name, known.llvm_cpython_wrapper_name, known.llvm_cfunc_wrapper_name}
    defined = [one.name for one in whole.functions if one.name in own and not one.is_declaration]
    return binding.parse_assembly(
        "\n".join(f'define linkonce_odr void @"{name}"() {{ ret void }}' for name in defined)
    )
