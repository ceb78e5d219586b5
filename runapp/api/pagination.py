"""Lists are plain JSON lists; they page when a caller asks for it."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import pagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class PageWhenAsked(pagination.PageNumberPagination):
    """``?page_size=&page=`` cut a list into pages; the ``Link`` header (RFC 8288) leads to the others."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        if not {"page", "page_size"} & request.query_params.keys():
            return None
        return super().paginate_queryset(queryset, request, view)

    def get_paginated_response(self, data: Any) -> Response:
        assert self.page is not None and self.request is not None  # noqa: S101 - called after a page was cut
        last = self.page.paginator.num_pages
        number = self.page.number
        others = {"first": 1, "prev": number - 1, "next": number + 1, "last": last}
        links = [f'<{self._url(to)}>; rel="{name}"' for name, to in others.items() if 1 <= to <= last]
        return Response(
            data, headers={"Link": ", ".join(links), "X-Total-Count": str(self.page.paginator.count)}
        )

    def _url(self, number: int) -> str:
        assert self.request is not None  # noqa: S101
        query = self.request.query_params.copy()  # a filter may be there more than once
        query["page"] = str(number)
        return f"{self.request.build_absolute_uri(self.request.path)}?{query.urlencode()}"

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema
