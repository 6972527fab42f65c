"""Elementary functions, activations and losses translated to JavaScript, one statement for each of Python.

These functions use only + - * /, comparisons, `abs`, `select`, `copysign` and `power_of_two` (see
`numerics.elementary`). JavaScript's numbers are IEEE doubles and its + - * / are exactly rounded, so the translated
functions return the same bits. Because they are translated when the page is written, coefficients and formulas of the
page cannot differ from those of the pipeline. `engine/arithmetic.js` has `copysign` and `power_of_two`.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.networks.activations import Activation
from pipeline.networks.losses import cross_entropy, cross_entropy_slope
from pipeline.numerics import elementary

OPERATORS: dict[type[ast.AST], str] = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.USub: "-"},
    **{ast.Lt: "<", ast.Gt: ">", ast.LtE: "<=", ast.GtE: ">="},
}
PRIMITIVES = {"copysign", "power_of_two"}
CONSTANTS = ("LN2_HIGH", "LN2_LOW")  # used by `log` of engine/initialization.js, which is not translated


def functions_for(activations: Sequence[Activation]) -> str:
    """JavaScript source of the activations, their slopes, the logistic loss, and all functions and constants in these.

    `phi` and `slope` of an activation keep their Python names.
    """
    roots: list[Callable[..., Any]] = [
        cross_entropy,
        cross_entropy_slope,
        elementary.exp,
        elementary.sigmoid,
        elementary.softplus,
    ]
    for activation in activations:
        roots += [activation.phi, activation.slope]
    return translate(roots, {name: getattr(elementary, name) for name in CONSTANTS})


def is_translated(activation: Activation) -> bool:
    """Whether `functions_for` translates the activation and its slope."""
    try:
        functions_for([activation])
    except ValueError:
        return False
    return True


def translate(roots: Sequence[Callable[..., Any]], constants: dict[str, Any]) -> str:
    """JavaScript source of `constants`, of the functions `roots` and of every function and constant that they use.

    Raises ValueError for a statement or an operation that it does not translate, and for a function without source.
    """
    found: dict[str, str] = {}
    constants = dict(constants)
    waiting = list(roots)
    while waiting:
        function = waiting.pop(0)
        if function.__name__ in found:
            continue
        definition = _definition(function)
        found[function.__name__] = _function(definition)
        for name in sorted({node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}):
            value = function.__globals__.get(name)
            if isinstance(value, float | tuple):
                constants[name] = value
            elif inspect.isfunction(value) and name not in PRIMITIVES and name != "select":
                waiting.append(value)
    lines = [f"const {name} = {_literal(value)};" for name, value in sorted(constants.items())]
    return "\n".join([*lines, "", *found.values()]) + "\n"


def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function that is defined by `def`. Raises ValueError for another one."""
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError) as error:  # no source; a built-in function; a lambda inside a call
        raise ValueError(f"{function.__name__}: its source cannot be read") from error
    if not isinstance(definition, ast.FunctionDef):
        raise ValueError(f"{function.__name__}: {ast.unparse(definition)} is not translated")
    return definition


def _literal(value: Any) -> str:
    """A float as the shortest decimal number that is read back as the same double; a tuple as an array."""
    return f"[{', '.join(map(repr, value))}]" if isinstance(value, tuple) else repr(value)


def _function(definition: ast.FunctionDef) -> str:
    """The definition of a function of numbers, with its docstring as a comment."""
    lines = []
    body = definition.body
    if docstring := ast.get_docstring(definition):
        lines += [f"// {line}".rstrip() for line in docstring.splitlines()]
        body = body[1:]
    arguments = [argument.arg for argument in definition.args.args]
    lines.append(f"function {definition.name}({', '.join(arguments)}) {{")
    names = [node for node in ast.walk(definition) if isinstance(node, ast.Name)]
    stored = [node.id for node in names if isinstance(node.ctx, ast.Store)]
    declared = set(arguments)
    for statement in body:
        if isinstance(statement, ast.Return) and statement.value is not None:
            lines.append(f"  return {_expression(statement.value)};")
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            assigned = {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
            keyword = "let " if any(stored.count(name) > 1 for name in assigned) else "const "
            start = "" if assigned <= declared else keyword
            lines.append(f"  {start}{_expression(target)} = {_expression(statement.value)};")
            declared |= assigned
        else:
            raise ValueError(f"{definition.name}: {ast.unparse(statement)} is not translated")
    return "\n".join([*lines, "}"])


def _expression(node: ast.AST) -> str:
    """An expression; every operand that is itself an operation is in parentheses, so precedence plays no part."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=int() | float() as value):
            return repr(value)
        case ast.Attribute(value=ast.Name(id="math"), attr="inf"):
            return "Infinity"
        case ast.Tuple(elts=parts):
            return f"[{', '.join(map(_expression, parts))}]"
        case ast.Subscript(value=value, slice=index):
            return f"{_expression(value)}[{_expression(index)}]"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_operand(operand)}"
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
            return f"{_operand(left)} {OPERATORS[type(operator)]} {_operand(right)}"
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in OPERATORS:
            return f"{_operand(left)} {OPERATORS[type(operator)]} {_operand(right)}"
        case ast.Call(func=ast.Name(id="select"), args=[condition, yes, no]):
            return f"({_expression(condition)} ? {_expression(yes)} : {_expression(no)})"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return f"{'Math.abs' if name == 'abs' else name}({', '.join(map(_expression, arguments))})"
    raise ValueError(f"{ast.unparse(node)} is not translated")


def _operand(node: ast.AST) -> str:
    text = _expression(node)
    return f"({text})" if isinstance(node, ast.BinOp | ast.Compare | ast.UnaryOp) else text
