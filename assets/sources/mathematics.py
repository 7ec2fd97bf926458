"""Numbers and expressions as models write them, read without ever running them."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from fractions import Fraction

_FRACTION = re.compile(r"\\d?frac\{(-?\d{1,40})\}\{(\d{1,40})\}")
_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{0,40})?(?:/\d{1,40})?|-?\.\d{1,40}")
_PARTS = re.compile(r"(-?[0-9]{1,40})/([0-9]{1,40})")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ARITHMETIC = re.compile(r"[0-9+\-*/() ]{1,200}")
_EXPRESSION = re.compile(r"[0-9A-Za-z+\-*/()., ]{1,400}")
_SYMBOL = re.compile(r"[A-Za-z][0-9]?")
_HIGHEST_POWER = 30
_FUNCTIONS = frozenset({
    "Ci", "Integral", "Si", "acos", "asin", "atan", "cos", "cosh", "erf", "exp", "log", "sin",
    "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip
_OPERATIONS: dict[type[ast.AST], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNREADABLE = SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError


def number(text: str) -> Fraction | None:
    r"""The number that text is: `1,234` or `-3.50` or `2/4` or `\frac{1}{2}`; None for all else."""
    bare = _FRACTION.sub(r"\1/\2", text.strip().strip("$").strip())
    if _THOUSANDS.fullmatch(bare):
        bare = bare.replace(",", "")
    if not bare.isascii() or not _NUMBER.fullmatch(bare):
        return None
    upper, _, lower = bare.partition("/")
    if lower and not int(lower):
        return None
    return Fraction(upper) / (int(lower) if lower else 1)


def fraction_parts(text: str) -> tuple[int, int] | None:
    r"""The two parts of `1/2` or `\frac{1}{2}`, as they stand; None for all else."""
    found = _PARTS.fullmatch(_FRACTION.sub(r"\1/\2", text.strip().strip("$").strip()))
    return (int(found[1]), int(found[2])) if found else None


def calculate(text: str) -> tuple[Fraction, list[int]] | None:
    """The value of whole numbers joined by + - * /, and those numbers; None for all else."""
    if not _ARITHMETIC.fullmatch(text):
        return None
    used: list[int] = []
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, used), used
    except _UNREADABLE:
        return None


def _value(node: ast.expr, used: list[int]) -> Fraction:
    match node:
        case ast.Constant(value=int(found)):
            used.append(found)
            return Fraction(found)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, used)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATIONS:
            return _OPERATIONS[type(sign)](_value(left, used), _value(right, used))
        case _:
            raise ValueError("no plain arithmetic")


def is_expression(text: str) -> bool:
    """Whether text is mathematics that sympy, which evaluates what it reads, may be given.

    Numbers, symbols of one letter, known functions and the four operations, with powers up to 30;
    towers such as 9**9**9 would not end.
    """
    if not _EXPRESSION.fullmatch(text):
        return False
    try:
        return _power(ast.parse(text.strip(), mode="eval").body) <= _HIGHEST_POWER
    except _UNREADABLE:
        return False


def _power(node: ast.expr) -> float:
    """The highest power that an expression reaches; raises ValueError where it is more than one."""
    match node:
        case ast.Constant() | ast.Name() if _is_leaf(node):
            return 1
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _power(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(left) * max(_power(right) * _largest(right), 1)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATIONS:
            return max(_power(left), _power(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return max((_power(one) for one in args), default=1)
        case ast.Tuple(elts=parts):
            return max((_power(one) for one in parts), default=1)
        case _:
            raise ValueError("no plain mathematics")


def _is_leaf(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return bool(_SYMBOL.fullmatch(node.id)) or node.id == "pi"
    return isinstance(node, ast.Constant) and _is_finite(node.value)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _largest(node: ast.expr) -> float:
    """The largest number in an exponent."""
    found = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return max((float(one) for one in found if isinstance(one, int | float)), default=1)
