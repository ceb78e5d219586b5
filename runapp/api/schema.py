"""What the API's schema cannot be read off the code."""

from typing import Any

from drf_spectacular.authentication import BasicScheme
from rest_framework.request import Request

from runapp.api.examples import EXAMPLES, Example, Ids, code_samples, path_id

#: Where ``manage.py up`` serves, for a schema that nobody asked for by a request.
_ADDRESS = "http://127.0.0.1:8000/"
#: Errors with their own words, for the operations that can answer with them.
_ERRORS = {
    "400": "the request is not understood, or a field is wrong: its name and why",
    "401": "without an account",
    "403": "your account may not do this, or a session comes without its CSRF token",
    "404": "there is no such object or page",
    "406": "answers are JSON only",
    "413": "more bytes than the server accepts",
    "415": "bodies are JSON or forms only",
    "429": "too many failed log-ins or posts; the header Retry-After says how many seconds to wait",
    "503": "the database or the shared disk cannot be used at the moment; nothing was written",
}
_OF_ALL = ("401", "403", "406", "429", "503")
_OF_BODIES = ("400", "413", "415")
_OF_PARAMETERS = ("400", "404")

_ERROR_SCHEMAS = {
    "Error": {
        "type": "object",
        "description": "What went wrong, in words and as a stable code.",
        "properties": {"detail": {"type": "string"}, "code": {"type": "string"}},
        "required": ["detail", "code"],
        "additionalProperties": False,
    },
    "FieldErrors": {
        "type": "object",
        "description": "Reasons by the name of the field that is wrong.",
        "additionalProperties": {
            "oneOf": [
                {"type": "array", "items": {"type": "string"}},
                {"type": "object", "description": "reasons by key or position within the field"},
            ]
        },
        "minProperties": 1,
    },
}


class RememberingBasicScheme(BasicScheme):
    """To a caller our Basic authentication is HTTP's."""

    target_class = "runapp.api.authentication.BasicAuthentication"
    name = "basicAuth"


def add_errors(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Tell of each operation which errors it can answer with: a hook of drf-spectacular."""
    result["components"]["schemas"] |= _ERROR_SCHEMAS
    for path in result["paths"].values():
        for operation in path.values():
            codes = {*_OF_ALL}
            codes.update(_OF_BODIES if "requestBody" in operation else ())
            codes.update(_OF_PARAMETERS if operation.get("parameters") else ())
            _add_responses(operation["responses"], codes)
    return result


def add_examples(
    result: dict[str, Any], generator: object, request: Request | None, public: bool
) -> dict[str, Any]:
    """Show how each operation is called, with the reader's own ids: a hook of drf-spectacular."""
    del generator, public
    address = request.build_absolute_uri("/") if request else _ADDRESS
    ids = Ids.of(request.user) if request else Ids()
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            samples = code_samples(method, path, address=address, ids=ids)
            operation["x-codeSamples"] = samples
            shown = "\n\n".join(f"**{s['label']}**\n\n```\n{s['source']}\n```" for s in samples)
            operation["description"] = f"{operation.get('description', '')}\n\n{shown}"
            _show_example(operation, EXAMPLES[method, path], ids, path_id(path, ids))
    return result


def _show_example(operation: dict[str, Any], example: Example, ids: Ids, number: int) -> None:
    if example.body and "requestBody" in operation:
        operation["requestBody"]["content"]["application/json"]["example"] = example.body(ids)
    status = min(code for code in operation["responses"] if code < "300")
    operation["responses"][status]["content"]["application/json"]["example"] = example.answer
    if "parameters" in operation:
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                parameter["example"] = number


def _add_responses(responses: dict[str, Any], codes: set[str]) -> None:
    for code in sorted(codes):
        responses.setdefault(code, {"description": _ERRORS[code]})
    error = {"$ref": "#/components/schemas/Error"}
    for code, response in responses.items():
        if code >= "400":
            fields = {"anyOf": [error, {"$ref": "#/components/schemas/FieldErrors"}]}
            response["content"] = {"application/json": {"schema": fields if code == "400" else error}}
