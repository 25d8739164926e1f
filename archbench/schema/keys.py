"""Hashes of nouns."""

from __future__ import annotations

import hashlib
from dataclasses import MISSING
from typing import Any

import msgspec


def fields(noun: Any) -> dict[str, Any]:
    """Return a noun's fields by name, one level deep."""
    return {name: getattr(noun, name) for name in noun.__dataclass_fields__}


def changed(noun: Any) -> dict[str, Any]:
    """Return the fields of a noun that are not at their default, so that a field added later changes no old hash."""
    defaults = {name: field.default for name, field in noun.__dataclass_fields__.items()}
    return {name: value for name, value in fields(noun).items() if defaults[name] is MISSING or value != defaults[name]}


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys) of a noun or of plain values."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
