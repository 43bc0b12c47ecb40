"""Settings files: YAML in, checked settings out, every fault on one line that names the file and the key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlsim.errors import SettingsError, did_you_mean
from mlsim.melt_quench import Schedule

__all__ = ["checked_settings", "file_sha256", "read_schedule", "read_settings", "settings_difference"]

Model = TypeVar("Model", bound=BaseModel)
_LARGEST_FILE_BYTES = 1_000_000
_ABSENT = "nothing"


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error, not a silent choice of the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", key_node.start_mark)
        seen.add(key)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the mapping that a YAML file holds, unchecked.

    Raises
    ------
    SettingsError
        If the file is not there, is no YAML, holds a key twice or is no mapping; the message names the line.
    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "no such file"
        raise SettingsError(f"{file}: {what}; expected a YAML file with settings")
    data = file.read_bytes()
    if len(data) > _LARGEST_FILE_BYTES:
        raise SettingsError(f"{file}: {len(data)} bytes is no settings file; expected YAML of a few kilobytes")
    try:
        content = yaml.load(data.decode("utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not text (byte {error.start}); expected a YAML file with settings") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: {_yaml_fault(error)}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        got = "nothing" if content is None else type(content).__name__
        raise SettingsError(f"{file}: expected 'key: value' lines, got {got}; see workflows/li-zr-o-cl/study.yaml")
    return content


def checked_settings(model: type[Model], values: Mapping[str, Any], *, where: str) -> Model:
    """Return `values` as settings of class `model`.

    Parameters
    ----------
    where
        The file or the command that the values come from, for the message.

    Raises
    ------
    SettingsError
        One line: the first fault, and how many more there are.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        # a misspelt key shows up twice: as unknown and as missing; only the first says what to do
        faults.sort(key=lambda fault: fault["type"] == "missing")
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise SettingsError(f"{where}: {_fault(faults[0], model)}{more}") from error


def read_schedule(path: str | os.PathLike[str]) -> Schedule:
    """Return the melt-quench schedule that a YAML file holds."""
    return Schedule.from_data(read_settings(path), str(path))


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{line}{getattr(error, 'problem', None) or 'not YAML'}"


def _fault(fault: Any, model: type[BaseModel]) -> str:
    location = [str(part) for part in fault["loc"]]
    key = ".".join(location)
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown key '{key}'; {did_you_mean(location[-1], _keys_at(model, fault['loc'][:-1]))}"
        case "missing":
            return f"'{key}' is missing"
        case "value_error":
            text = str(fault["ctx"]["error"])
            return f"{key}: {text}" if key else text
        case _:
            expected = str(fault["msg"]).replace("Input should be ", "")
            return f"{key} is {fault['input']!r}, expected {expected}"


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that settings have at a place inside nested settings."""
    here: type[BaseModel] | None = model
    for part in location:
        if here is None:
            return []
        field = here.model_fields.get(str(part)) if isinstance(part, str) else None
        here = _model_in(field.annotation) if field is not None else here
    return list(here.model_fields) if here is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the settings class inside an annotation such as `tuple[Segment, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def settings_difference(before: Any, now: Any, key: str = "") -> list[str]:
    """Return the differences between two sets of settings, each as `key was X, now Y`.

    Examples
    --------
    >>> settings_difference({"seed": 1, "glasses": {"atoms": 114}}, {"seed": 2, "glasses": {"atoms": 114}})
    ['seed was 1, now 2']
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = list(dict.fromkeys([*before, *now]))
        parts = (
            settings_difference(before.get(name, _ABSENT), now.get(name, _ABSENT), f"{key}.{name}" if key else name)
            for name in names
        )
        return [line for part in parts for line in part]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now) and _nested(before):
        parts = (settings_difference(a, b, f"{key}.{i}") for i, (a, b) in enumerate(zip(before, now, strict=True)))
        return [line for part in parts for line in part]
    return [] if before == now else [f"{key} was {_short(before)}, now {_short(now)}"]


def _nested(values: list[Any]) -> bool:
    return any(isinstance(value, Mapping | list) for value in values)


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
