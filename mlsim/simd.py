"""Vectors of a fixed number of lanes for numba code: load, store, splat, arithmetic and sums, each one LLVM operation.

The compiler does not see on its own that the short loops over channels are vector operations; written with these they
are, on every processor (LLVM splits a vector that is wider than the registers). The width reaches a function as the
length of a tuple, offsets count elements of the flattened array, and nothing checks bounds.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
from llvmlite import ir
from numba import config, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

__all__ = ["best_width", "load", "positive_part", "splat", "store", "sum4", "zero"]


def best_width() -> int:
    """Return how many float32 lanes the widest registers hold that numba compiles for, at least 8."""
    if config.CPU_NAME or config.CPU_FEATURES:  # the user chose another processor than this one
        return 16 if "+avx512f" in (config.CPU_FEATURES or "") else 8
    return 16 if llvmlite.binding.get_host_cpu_features().get("avx512f", False) else 8


class Vector(types.Type):  # type: ignore[misc]
    """Numba's type of a vector."""

    def __init__(self, dtype: types.Float, width: int) -> None:
        self.dtype = dtype
        self.width = width
        super().__init__(name=f"vector({dtype}, {width})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """A vector is one LLVM value."""

    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, llvm_type(fe_type))


def llvm_type(vector: Vector) -> ir.VectorType:
    """Return LLVM's type of a vector."""
    return ir.VectorType(ir.FloatType() if vector.dtype == types.float32 else ir.DoubleType(), vector.width)


def pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Return the address of an element of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def broadcast(builder: Any, scalar: Any, kind: ir.VectorType) -> Any:
    """Return a vector with the scalar in all lanes."""
    start = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        start, start, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    )


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, array: Any, offset: Any, width: Any) -> Any:
    """Return the lanes that begin at `offset` of the flattened array."""
    vector = Vector(array.dtype, len(width))

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = pointer(context, builder, sig.args[0], args[0], args[1])
        where = builder.bitcast(where, llvm_type(vector).as_pointer())
        return builder.load(where, align=array.dtype.bitwidth // 8)

    return vector(array, types.int64, width), build


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write the lanes to the flattened array from `offset` on."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = pointer(context, builder, sig.args[0], args[0], args[1])
        where = builder.bitcast(where, llvm_type(value).as_pointer())
        builder.store(args[2], where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), build


@intrinsic  # type: ignore[untyped-decorator]
def splat(typing: Any, array: Any, offset: Any, width: Any) -> Any:
    """Return one element of the flattened array in all lanes."""
    vector = Vector(array.dtype, len(width))

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        scalar = builder.load(pointer(context, builder, sig.args[0], args[0], args[1]))
        return broadcast(builder, scalar, llvm_type(vector))

    return vector(array, types.int64, width), build


@intrinsic  # type: ignore[untyped-decorator]
def zero(typing: Any, array: Any, width: Any) -> Any:
    """Return zeros of the array's precision."""
    vector = Vector(array.dtype, len(width))

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(llvm_type(vector), [0.0] * vector.width)

    return vector(array, width), build


@intrinsic  # type: ignore[untyped-decorator]
def positive_part(typing: Any, a: Any) -> Any:
    """Return max(a, 0) lane by lane; 0 where a is not a number."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        nothing = ir.Constant(llvm_type(a), [0.0] * a.width)
        return builder.select(builder.fcmp_ordered(">", args[0], nothing), args[0], nothing)

    return a(a), build


@intrinsic  # type: ignore[untyped-decorator]
def sum4(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Return the four sums over lanes as one vector of four lanes."""
    result = Vector(a.dtype, 4)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def pick(x: Any, y: Any, lanes: list[int]) -> Any:
            return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))

        def folded(x: Any, y: Any, stride: int) -> Any:
            # in every group of 2 * stride lanes: sums of x in the first half, sums of y in the second
            n = a.width
            low = [k + (n if k // stride % 2 else 0) - (stride if k // stride % 2 else 0) for k in range(n)]
            return builder.fadd(pick(x, y, low), pick(x, y, [k + stride for k in low]))

        total = folded(folded(args[0], args[1], 1), folded(args[2], args[3], 1), 2)
        width = a.width
        while width > 4:
            width //= 2
            total = builder.fadd(
                pick(total, total, list(range(width))), pick(total, total, list(range(width, 2 * width)))
            )
        return total

    return result(a, b, c, d), build


def arithmetic(function: Any, name: str) -> None:
    """Teach numba one operation between two vectors, or a vector and a number of the same precision."""

    @infer_global(function)
    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) != 2 or not isinstance(args[0], Vector):
                return None
            if args[1] in (args[0], args[0].dtype):
                return signature(args[0], *args)
            return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, y = args
        if not isinstance(sig.args[1], Vector):
            y = broadcast(builder, y, llvm_type(sig.args[0]))
        return getattr(builder, name)(x, y, flags=("contract",))

    lower_builtin(function, Vector, Vector)(build)
    lower_builtin(function, Vector, types.Float)(build)


arithmetic(operator.add, "fadd")
arithmetic(operator.sub, "fsub")
arithmetic(operator.mul, "fmul")
