"""Which field asks for which kind of thing."""

from __future__ import annotations

from dagbook_magics.form.field import Field
from dagbook_magics.form.group_fields import ObjectField
from dagbook_magics.form.row_fields import ListField, MappingField
from dagbook_magics.form.schedule_field import ScheduleField
from dagbook_magics.form.shape import Kind, Shape
from dagbook_magics.form.simple_fields import (
    BooleanField,
    ChecklistField,
    ChoiceField,
    TextField,
)
from dagbook_magics.form.union_field import UnionField


def make_field(shape: Shape) -> Field:
    """The field for a shape."""
    if shape.kind is Kind.SCHEDULE:
        return ScheduleField(shape)
    if shape.kind is Kind.CHOICE:
        return ChoiceField(shape)
    if shape.kind is Kind.BOOLEAN:
        return BooleanField(shape)
    if shape.kind is Kind.CHECKLIST:
        return ChecklistField(shape)
    if shape.kind is Kind.OBJECT:
        return ObjectField(shape, make_field)
    if shape.kind is Kind.LIST:
        return ListField(shape, make_field)
    if shape.kind is Kind.MAPPING:
        return MappingField(shape, make_field)
    if shape.kind is Kind.UNION:
        return UnionField(shape, make_field)
    return TextField(shape)
