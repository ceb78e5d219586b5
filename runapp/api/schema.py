"""What the API's schema cannot be read off the code."""

from typing import Any

from drf_spectacular.authentication import BasicScheme

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


def _add_responses(responses: dict[str, Any], codes: set[str]) -> None:
    for code in sorted(codes):
        responses.setdefault(code, {"description": _ERRORS[code]})
    error = {"$ref": "#/components/schemas/Error"}
    for code, response in responses.items():
        if code >= "400":
            fields = {"anyOf": [error, {"$ref": "#/components/schemas/FieldErrors"}]}
            response["content"] = {"application/json": {"schema": fields if code == "400" else error}}
