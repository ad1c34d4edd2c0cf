"""What a configuration is made of: frozen dataclasses whose keys have a range and a mark; no library is needed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

Key = TypeVar("Key")
Identity = Annotated[Key, "identity"]
"""A key that decides what is learned: a run with another value is another run."""
Numerics = Annotated[Key, "numerics"]
"""A key that moves results by rounding alone: it may change between two parts of a run, which is recorded."""
Operation = Annotated[Key, "operation"]
"""A key that no result depends on, such as an address or an interval."""

Mark = Literal["identity", "numerics", "operation"]
MARKS: tuple[Mark, ...] = get_args(Mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Range of a number, where pydantic reads it; infinite numbers are refused unless allowed."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    infinite: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        bounds = {name: getattr(self, name) for name in ("ge", "gt", "le", "lt")}
        schema = handler(source) | {name: bound for name, bound in bounds.items() if bound is not None}
        return schema | {"allow_inf_nan": True} if self.infinite else schema


Count = Annotated[int, Within(ge=1)]
Weight = Annotated[float, Within(ge=0)]
Positive = Annotated[float, Within(gt=0)]
Share = Annotated[float, Within(ge=0, le=1)]
Seed = Annotated[int, Within(ge=-(2**63), le=2**63 - 1)]  # what PyTorch's generators take


class Settings:
    """Base of the dataclasses that are read from files: every key is known and has its exact type.

    1.0 and true are no integers, but 1 is a number. Checks that concern several keys are `__post_init__`, which raises
    ValueError with the name of the key first.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
    }


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key of a configuration that holds a value, no table."""

    path: str  # such as `sequence.vae_rule.stride`; `[]` stands for the position in a list
    marks: tuple[Mark, ...]  # on the way to it; a mark of a table is one of all its keys


def leaves(kind: Any, path: str = "", marks: tuple[Mark, ...] = ()) -> Iterator[Leaf]:
    """All keys of a configuration, in order."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        bare, own = _unmarked(hints[field.name])
        name = f"{path}.{field.name}" if path else field.name
        parts: Any = get_args(bare)
        if get_origin(bare) is tuple and is_dataclass(parts[0]):
            yield from leaves(parts[0], f"{name}[]", marks + own)
        elif isinstance(bare, type) and is_dataclass(bare):
            yield from leaves(bare, name, marks + own)
        else:
            yield Leaf(name, marks + own)


def _unmarked(hint: Any) -> tuple[Any, tuple[Mark, ...]]:
    """A key's type without its annotations, and the marks among them."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    bare, *notes = get_args(hint)
    return bare, tuple(note for note in notes if note in MARKS)


def values(config: Any, path: str = "", inherited: Mark | None = None) -> Iterator[tuple[str, Mark, Any]]:
    """Each key of a configuration with its mark and its value; tables of a list are told apart by their `name`."""
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        _, own = _unmarked(hints[field.name])
        mark = own[0] if own else inherited
        name, value = f"{path}.{field.name}" if path else field.name, getattr(config, field.name)
        if is_dataclass(value):
            yield from values(value, name, mark)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for number, part in enumerate(value):
                yield from values(part, f"{name}.{getattr(part, 'name', number)}", mark)
        elif mark is None:
            raise TypeError(f"{name} has no mark")
        else:
            yield name, mark, list(value) if isinstance(value, tuple) else value
