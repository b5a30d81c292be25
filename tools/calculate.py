"""Arithmetic without a language model: `calculate`."""

import ast
import math
import operator
from collections.abc import Callable

from pydantic import BaseModel, Field

from nuthatch.tools.base import Arguments, Context, Tool
from nuthatch.tools.faults import RetryCall

LARGEST = 1e15  # results beyond this are refused: 9**9**9 would never end

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
    "round": round,
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
    Args = CalculateArgs
    Result = Number

    def run(self, args: CalculateArgs, context: Context) -> Number:
        try:
            tree = ast.parse(args.expression.strip(), mode="eval")
            value = _value(tree.body)
        except (SyntaxError, ValueError, TypeError, RecursionError) as error:
            raise RetryCall(f"'{args.expression}' is no arithmetic: {error}") from error
        except (ZeroDivisionError, OverflowError) as error:
            raise RetryCall(f"'{args.expression}' has no value: {error}") from error
        return Number(value=value)


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            a, b = _value(left), _value(right)
            if isinstance(op, ast.Pow) and abs(b) * math.log10(max(2.0, abs(a))) > 15:
                raise OverflowError("the power is too large")
            return _bounded(_BINARY[type(op)](a, b))
        case ast.UnaryOp(op=sign, operand=inner) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(inner))
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(part) for part in inner)))
    raise ValueError(f"'{ast.unparse(node)}' is not allowed")


def _bounded(value: float) -> float:
    if isinstance(value, complex) or not abs(value) <= LARGEST:
        raise OverflowError(f"the result is beyond {LARGEST:g}")
    return value
