"""The directive ``{schema}``: the tables of the database with their columns and relations, drawn as SVG.

The tables stand side by side, with those outside ``runapp`` that they refer to below the shortest. A line
leads from the row of each foreign key to the name of the table that it refers to.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from django.apps import apps as django_apps
from django.db.models import ForeignKey, Model
from docutils import nodes
from reference_tables import kind_of
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

#: Pixels. The letters are those of a fixed width, so that a text's width is known.
_ROW, _HEAD, _GAP, _MARGIN, _LETTER, _LANE = 19, 26, 58, 10, 7.0, 9

Row = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class _Table:
    """A table and where it is drawn."""

    name: str
    rows: list[Row]
    column: int
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return _HEAD + _ROW * len(self.rows) + 6

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def row_y(self, name: str) -> float:
        """The middle of a row."""
        return self.y + _HEAD + _ROW * ([row[0] for row in self.rows].index(name) + 0.5)


def relations(model: type[Model]) -> dict[str, type[Model]]:
    """The models that a model's foreign keys refer to, by the names of these."""
    return {
        field.name: field.related_model
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
    }


def schema_svg(models: Iterable[type[Model]]) -> str:
    """The drawing of ``models``, from left to right, and of what they refer to."""
    shown = list(models)
    tables = _placed(shown)
    width = max(table.x + table.width for table in tables.values()) + _MARGIN
    height = max(table.bottom for table in tables.values()) + _MARGIN
    names = ", ".join(model.__name__ for model in shown)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="schema" role="img" '
            f'viewBox="0 0 {width:g} {height:g}">',
            f"<title>The tables {escape(names)}, their columns and relations</title>",
            *_lines(shown, tables),
            *(_drawn(table) for table in tables.values()),
            "</svg>",
        ]
    )


def _placed(models: list[type[Model]]) -> dict[type[Model], _Table]:
    tables: dict[type[Model], _Table] = {}
    x: float = _MARGIN
    for column, model in enumerate(models):
        rows = [(field.name, kind_of(field)) for field in model._meta.concrete_fields]
        width = max(len(name) + len(kind) + 5 for name, kind in rows) * _LETTER
        tables[model] = _Table(model.__name__, rows, column, x, _MARGIN, width)
        x += width + _GAP
    outside = {target for model in models for target in relations(model).values()} - set(models)
    for model in sorted(outside, key=lambda one: one.__name__):
        above = min(tables.values(), key=lambda table: table.bottom)
        key = model._meta.pk
        tables[model] = dataclasses.replace(
            above, name=model.__name__, rows=[(key.name, kind_of(key))], y=above.bottom + _GAP
        )
    return tables


def _lines(models: list[type[Model]], tables: dict[type[Model], _Table]) -> Iterator[str]:
    """One line for each foreign key, each in a lane of its own between the columns."""
    lanes: dict[float, int] = {}
    for model in models:
        for name, target in relations(model).items():
            start, end = tables[model], tables[target]
            to_right = end.column > start.column
            x1 = start.x + start.width if to_right else start.x
            x2 = end.x + end.width if end.column < start.column else end.x
            gap = x1 if to_right else x1 - _GAP
            lanes[gap] = lanes.get(gap, 0) + 1
            lane = gap + _LANE * (lanes[gap] + 1)
            y1, y2 = start.row_y(name), end.y + _HEAD / 2
            tip = 6 if end.column < start.column else -6
            yield (
                f'<path class="schema-line" data-from="{start.name}.{name}" data-to="{end.name}" '
                f'd="M{x1:g} {y1:g}H{lane:g}V{y2:g}H{x2:g}m{tip} -4l{-tip} 4l{tip} 4"/>'
            )


def _drawn(table: _Table) -> str:
    right = table.x + table.width - 9
    parts = [
        f'<rect class="schema-box" x="{table.x:g}" y="{table.y:g}" width="{table.width:g}" '
        f'height="{table.height:g}" rx="5"/>',
        f'<path class="schema-line" d="M{table.x:g} {table.y + _HEAD:g}h{table.width:g}"/>',
        f'<text class="schema-name" x="{table.x + 9:g}" y="{table.y + 18:g}">{escape(table.name)}</text>',
    ]
    for name, kind in table.rows:
        y = table.row_y(name) + 5
        parts.append(
            f'<text x="{table.x + 9:g}" y="{y:g}" data-column="{table.name}.{name}">{escape(name)}</text>'
            f'<text class="schema-kind" x="{right:g}" y="{y:g}">{escape(kind)}</text>'
        )
    return f"<g>{''.join(parts)}</g>"


class Schema(SphinxDirective):
    """``{schema}``: all tables of ``runapp``."""

    def run(self) -> list[nodes.Node]:
        models: Any = django_apps.get_app_config("runapp").get_models()
        return [nodes.raw("", schema_svg(models), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("schema", Schema)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
