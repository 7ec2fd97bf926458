"""What can be said of data that is only partly valid: its fields, and the rules that span them.

Pydantic runs the rules of a model (`model_validator(mode="after")`) only once every field is valid,
and stops at the first that fails. A person then mends one mistake to be shown the next. Here every
rule runs whose fields are known: a model is built without its wrong fields, and a rule that asks
for one of those is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic_core import ErrorDetails

Key = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Broken(NamedTuple):
    """A rule that does not hold."""

    at: Key
    """Where the model stands whose rule it is."""
    error: ValueError


class _UnknownError(Exception):
    """Nothing of a value can be used."""


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or the first that its tuple or union holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)


def _models_in(annotation: Any) -> frozenset[type[BaseModel]]:
    """Every model that an annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return frozenset({annotation})
    return frozenset().union(*map(_models_in, get_args(annotation)))


def governing(model: type[BaseModel], location: Key) -> type[BaseModel] | None:
    """The model that governs `location`, following nested models and tuples of them."""
    current: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int):
            continue
        if current is None or step not in current.model_fields:
            return None
        current = model_in(current.model_fields[step].annotation)
    return current


def known_part(
    model: type[Model], data: Any, errors: Collection[ErrorDetails]
) -> tuple[Model | None, list[Broken]]:
    """A `model` without the fields that `errors` speak of, and every rule that it breaks.

    Reading a field that it lacks raises AttributeError. None where nothing of `data` can be used.
    """
    broken: list[Broken] = []
    try:
        part = _model_part(model, data, (), [_location(error) for error in errors], broken)
    except _UnknownError:
        return None, broken
    return part, broken


def nothing_of(model: type[Model]) -> Model:
    """A model of which no required field is known."""
    return _without(model.model_construct(), [n for n, f in model.model_fields.items()
                                              if f.is_required()])  # fmt: skip


def _without(part: Model, unknown: Collection[str]) -> Model:
    for name in unknown:
        part.__dict__.pop(name, None)
    return part


def _location(error: ErrorDetails) -> Key:
    return tuple(step for step in error["loc"] if isinstance(step, (str, int)))


def _model_part(
    model: type[Model], data: Any, at: Key, wrong: Collection[Key], broken: list[Broken]
) -> Model:
    if not isinstance(data, Mapping):
        raise _UnknownError
    values: dict[str, Any] = {}
    unknown: list[str] = []
    for name, info in model.model_fields.items():
        given = info.alias or name
        if given not in data:
            unknown += [name] if info.is_required() else []
            continue
        try:
            values[name] = _field_part(model, name, data[given], (*at, given), wrong, broken)
        except _UnknownError:
            unknown.append(name)
    part = _without(model.model_construct(**values), unknown)
    for name, rule in model.__pydantic_decorators__.model_validators.items():
        if rule.info.mode == "after":
            # A rule that asks for a field that is unknown has nothing to say yet.
            with contextlib.suppress(AttributeError):
                try:
                    getattr(part, name)()
                except ValueError as error:
                    broken.append(Broken(at, error))
    return part


def _field_part(
    model: type[BaseModel],
    name: str,
    data: Any,
    at: Key,
    wrong: Collection[Key],
    broken: list[Broken],
) -> Any:
    if not any(key[: len(at)] == at for key in wrong):
        return _adapter(model, name).validate_python(data)
    kinds = _models_in(model.model_fields[name].annotation)
    if len(kinds) != 1:
        raise _UnknownError  # nothing nested, or one of several kinds that it does not say
    (nested,) = kinds
    if isinstance(data, list):
        return tuple(
            _model_part(nested, each, (*at, number), wrong, broken)
            for number, each in enumerate(data)
        )
    return _model_part(nested, data, at, wrong, broken)


@cache
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    kind: Any = info.annotation
    return TypeAdapter(Annotated[kind, *info.metadata] if info.metadata else kind)
