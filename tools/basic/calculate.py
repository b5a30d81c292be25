"""Arithmetic without a language model: `calculate`.

The expression is worked out on its syntax tree. Each operation looks at its operands first and is
refused if its result could be large, so that none takes long; between two of them a call that was
given up stops.
"""

import ast
import math
import operator
from collections.abc import Callable

from pydantic import BaseModel, Field

from nuthatch.tools.base.tool import Arguments, Context, Tool
from nuthatch.tools.faults import RetryCall, clipped

LARGEST = 1e15  # results beyond this are refused: 9**9**9 would never end
MOST_DIGITS = 15  # behind the point or before it, that a number is rounded to


def _round(value: float, digits: float = 0) -> float:
    """As `round`; of an integer, many digits before the point would be a power to compute."""
    if not float(digits).is_integer() or abs(digits) > MOST_DIGITS:
        raise ValueError(f"round takes up to {MOST_DIGITS} digits, given {digits}")
    return round(value, int(digits)) if digits else round(value)


_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": _round,
    "sqrt": math.sqrt,
}


class CalculateArgs(Arguments):
    expression: str = Field(min_length=1, max_length=200, description="e.g. (3 + 4) * 2")


class Number(BaseModel):
    value: int | float


class Calculate(Tool[CalculateArgs, Number]):
    """Work out an arithmetic expression: + - * / // % ** and abs, min, max, round, sqrt.

    Raises:
        RetryCall: it is no arithmetic, divides by zero, or grows beyond 1e15.
    """

    name = "calculate"
    timeout = 5.0
    Args = CalculateArgs
    Result = Number

    def run(self, args: CalculateArgs, context: Context) -> Number:
        said = clipped(args.expression, 80)
        try:
            tree = ast.parse(args.expression.strip(), mode="eval")
            value = _value(tree.body, context.check)
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
            # MemoryError is the parser's, of brackets in brackets.
            raise RetryCall(f"'{said}' is no arithmetic: {error}") from error
        except (ZeroDivisionError, OverflowError) as error:
            raise RetryCall(f"'{said}' has no value: {error}") from error
        return Number(value=value)


def _value(node: ast.expr, check: Callable[[], None]) -> float:
    """The value of a tree; `check` raises when nobody waits for it any more."""
    check()
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            a, b = _value(left, check), _value(right, check)
            if isinstance(op, ast.Pow) and abs(b) * math.log10(max(2.0, abs(a))) > 15:
                raise OverflowError("the power is too large")
            return _bounded(_BINARY[type(op)](a, b))
        case ast.UnaryOp(op=sign, operand=inner) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(inner, check))
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(part, check) for part in inner)))
    raise ValueError(f"'{clipped(ast.unparse(node), 80)}' is not allowed")


def _bounded(value: float) -> float:
    if isinstance(value, complex) or not abs(value) <= LARGEST:
        raise OverflowError(f"the result is beyond {LARGEST:g}")
    return value
