"""Directives that read tables off the code: an endpoint of the API, the fields of a model."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from django.apps import apps as django_apps
from django.db import models
from docutils import nodes
from drf_spectacular.generators import SchemaGenerator
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

_API_ROOT = "/runapp/"
_FIRST_ERROR = 400


@cache
def api_schema() -> dict[str, Any]:
    """The OpenAPI document of the API."""
    return SchemaGenerator().get_schema(request=None, public=True)


def operations() -> dict[str, dict[str, Any]]:
    """The API's operations by name, such as ``POST rawdata/split/``."""
    return {
        f"{method.upper()} {path.removeprefix(_API_ROOT)}".strip(): operation
        for path, methods in api_schema()["paths"].items()
        for method, operation in methods.items()
    }


def _component(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to."""
    if "$ref" not in schema:
        return schema
    return api_schema()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def _type(schema: dict[str, Any]) -> str:
    for combined in ("allOf", "oneOf"):
        if combined in schema:
            return _type(schema[combined][0])
    schema = _component(schema)
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"] if value)
    kind = {"object": "object", "array": "list", "number": "number"}.get(schema.get("type", ""))
    return kind or str(schema.get("type", "any"))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    clean = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *clean)] + [""]


def _default(schema: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    return f"`{schema['default']!r}`" if "default" in schema else "optional"


def _request(operation: dict[str, Any]) -> list[str]:
    rows = [
        (f"`{parameter['name']}`", _type(parameter["schema"].get("items", parameter["schema"])),
         "in the path" if parameter["in"] == "path" else "in the query",
         _words(parameter))
        for parameter in operation.get("parameters", [])
    ]  # fmt: skip
    if body := operation.get("requestBody"):
        schema = _component(body["content"]["application/json"]["schema"])
        needed = schema.get("required", [])
        rows += [
            (f"`{name}`", _type(field), _default(field, name in needed), field.get("description", ""))
            for name, field in schema["properties"].items()
        ]
    return ["Takes:", "", *_table(("name", "type", "", "meaning"), rows)] if rows else []


def _words(parameter: dict[str, Any]) -> str:
    # The description of a choice only repeats its values.
    text = parameter.get("description", "")
    return "" if text.startswith("* ") else text


def _answers(operation: dict[str, Any]) -> list[str]:
    rows, errors = [], []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json", {}).get("schema")
        if status.isdecimal() and int(status) >= _FIRST_ERROR:
            errors.append(f"`{status}`")
        else:
            rows.append((f"`{status}`", _answer(content) if content else answer["description"]))
    refusals = [f"[Errors](#errors): {', '.join(errors)}", ""] if errors else []
    return ["Answers:", "", *_table(("status", "JSON"), rows), *refusals]


def _answer(schema: dict[str, Any]) -> str:
    schema = _component(schema)
    item = _component(schema["items"]) if schema.get("type") == "array" else schema
    fields = ", ".join(f"`{name}`" for name in item.get("properties", {}))
    kind = "a list of objects" if schema.get("type") == "array" else "an object"
    return f"{kind} with {fields}" if fields else kind


class Endpoint(SphinxDirective):
    """``{endpoint} POST rawdata/``: what an endpoint takes and answers."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        operation = operations().get(self.arguments[0])
        if operation is None:
            raise self.error(f"the API has no {self.arguments[0]!r}; it has {', '.join(operations())}")
        text = [operation["description"], "", *_request(operation), *_answers(operation)]
        return self.parse_text_to_nodes("\n".join(text))


class ModelFields(SphinxDirective):
    """``{model-fields} RawData``: the columns of a model of ``runapp``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            model = django_apps.get_model("runapp", self.arguments[0])
        except LookupError as error:
            raise self.error(str(error)) from None
        rows = [
            (f"`{field.name}`", kind_of(field), _notes(field), field.help_text or field.verbose_name)
            for field in model._meta.concrete_fields
        ]
        return self.parse_text_to_nodes("\n".join(_table(("field", "type", "", "meaning"), rows)))


def kind_of(field: "models.Field[Any, Any]") -> str:
    if isinstance(field, models.ForeignKey):
        return f"→ {field.related_model._meta.object_name}"
    length = f"({field.max_length})" if field.max_length else ""
    return f"{type(field).__name__.removesuffix('Field')}{length}"


def _notes(field: "models.Field[Any, Any]") -> str:
    notes = []
    if field.primary_key:
        notes.append("primary key")
    elif field.unique:
        notes.append("unique")
    if field.null:
        notes.append("may be null")
    if field.choices:
        notes.append(" ".join(f"`{value}`" for value, _ in field.choices))
    if field.has_default() and not callable(field.default) and field.default not in ("", None):
        notes.append(f"default `{field.default}`")
    return ", ".join(notes)


def setup(app: Sphinx) -> dict[str, bool]:
    if not django_apps.ready:
        raise ExtensionError("conf.py must set Django up before this extension is loaded")
    app.add_directive("endpoint", Endpoint)
    app.add_directive("model-fields", ModelFields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
