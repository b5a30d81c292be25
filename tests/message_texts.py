"""The texts of messages, read from the source: what stands in calls such as `RetryCall(f"...")`.

A text is the same whatever the variables in it are called and wherever it stands: a placeholder is
written `{}`, with its format. Names in a message are followed to what was assigned to them in the
same function or module, and calls to what the function of that name returns.
"""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_Seen = set[tuple[ast.AST, str]]


class Sources:
    """Parsed files, searched for messages."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
        self._functions: dict[str, list[tuple[Function, ast.Module]]] = defaultdict(list)
        for module in self._modules.values():
            for node in ast.walk(module):
                if isinstance(node, Function):
                    self._functions[node.name].append((node, module))

    def texts(self, names: Collection[str], folders: Collection[str] = ()) -> list[str]:
        """The texts of two words and more in calls of these names, each once, sorted; in files of
        `folders` if given."""
        found: set[str] = set()
        for path, module in self._modules.items():
            if folders and not any(part in folders for part in path.parts):
                continue
            for call, scopes in _calls(module, (module,)):
                if _name(call.func) in names:
                    for part in _arguments(call):
                        found.update(self._of(part, scopes, set()))
        return sorted(text for text in found if " " in text and any(map(str.isalpha, text)))

    def _of(self, node: ast.expr | None, scopes: tuple[ast.AST, ...], seen: _Seen) -> Iterator[str]:
        """The texts that an expression may be made of."""
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=values):
                yield "".join(map(_template, values))
                for part in values:
                    if isinstance(part, ast.FormattedValue):
                        yield from self._of(part.value, scopes, seen)
            case ast.Name(id=name):
                for value in _assigned(name, scopes):
                    if (value, name) not in seen:
                        seen.add((value, name))
                        yield from self._of(value, scopes, seen)
            case ast.Call():
                for part in _arguments(node):
                    yield from self._of(part, scopes, seen)
                if isinstance(node.func, ast.Attribute):
                    yield from self._of(node.func.value, scopes, seen)
                yield from self._returned(node, scopes, seen)
            case ast.Attribute():  # of an object: not a text of the source
                return
            case ast.Subscript(value=value):
                yield from self._of(value, scopes, seen)
            case ast.AST():
                for child in ast.iter_child_nodes(node):
                    inner = child.iter if isinstance(child, ast.comprehension) else child
                    if isinstance(inner, ast.expr):
                        yield from self._of(inner, scopes, seen)

    def _returned(self, call: ast.Call, scopes: tuple[ast.AST, ...], seen: _Seen) -> Iterator[str]:
        """What the called function returns: one of this module, else one of any."""
        if isinstance(call.func, ast.Attribute) and _name(call.func.value) not in ("self", "cls"):
            return
        known = self._functions.get(_name(call.func), [])
        near = [each for each in known if each[1] is scopes[0]] or known
        for function, module in near:
            if (function, "") in seen:
                continue
            seen.add((function, ""))
            for node in ast.walk(function):
                if isinstance(node, ast.Return | ast.Yield):
                    yield from self._of(node.value, (module, function), seen)


def _calls(
    node: ast.AST, scopes: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    """All calls, with the module and the functions around them."""
    for child in ast.iter_child_nodes(node):
        inner = (*scopes, child) if isinstance(child, Function) else scopes
        if isinstance(child, ast.Call):
            yield child, inner
        yield from _calls(child, inner)


def _assigned(name: str, scopes: tuple[ast.AST, ...]) -> Iterator[ast.expr]:
    """What is assigned to a name in the innermost scope that does so; of a module only literals."""
    for scope in reversed(scopes):
        if isinstance(scope, ast.Module):
            values = (value for node in scope.body for value in _value(node, name))
            found = [v for v in values if not any(isinstance(n, ast.Call) for n in ast.walk(v))]
        else:
            found = [value for node in ast.walk(scope) for value in _value(node, name)]
        yield from found
        if found:
            return


def _value(node: ast.AST, name: str) -> Iterator[ast.expr]:
    match node:
        case ast.Assign(targets=targets, value=value):
            names = [each for target in targets for each in ast.walk(target)]
        case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            names = [target]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            names = [target]
        case _:
            return
    if any(isinstance(each, ast.Name) and each.id == name for each in names):
        yield value


def _template(part: ast.expr) -> str:
    """A part of an f-string; of a placeholder only its format."""
    if isinstance(part, ast.FormattedValue):
        conversion = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
        shape = part.format_spec.values if isinstance(part.format_spec, ast.JoinedStr) else []
        return f"{{{conversion}{':' if shape else ''}{''.join(map(_template, shape))}}}"
    assert isinstance(part, ast.Constant)
    return str(part.value)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
