"""What the admin pages of the three models have in common."""

from functools import cached_property
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import smart_split

from runapp.services.deletion import going_with, rows_delete

#: The largest id that the tables hold.
_MAX_ID = 2**31 - 1
#: So many rows a list leads to at most: to count a million takes longer than to search.
_MAX_LISTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable
    """Pages through the first ``_MAX_LISTED`` rows; search and filters lead to the others."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        return rows.order_by()[:_MAX_LISTED].count()


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable
    """Rows come through the API, which writes their files with them; a hand may look and delete."""

    #: Newest first: where there are more than the pages lead to, it is these that people come for.
    ordering = ("-created_at",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 500
    #: Lookups that a whole number, and any other word, of the search is compared by. Where there may be
    #: very many rows they are of columns with an index.
    number_lookups: tuple[str, ...] = ()
    text_lookups: tuple[str, ...] = ()

    class Media:
        css = {"all": ("runapp/admin.css",)}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (*self.number_lookups, *self.text_lookups)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows that each word of the search fits."""
        for word in smart_split(search_term.replace("\0", "")):
            is_number = word.isascii() and word.isdigit() and self.number_lookups
            lookups = self.number_lookups if is_number else self.text_lookups
            value = min(int(word[:11]), _MAX_ID) if is_number else word
            queryset = queryset.filter(Q(**dict.fromkeys(lookups, value), _connector=Q.OR))
        return queryset, False

    # Django's own list names each fold that goes with a row, and its deletion loads them whole.
    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        rows = self.model._default_manager.filter(pk__in=[row.pk for row in objs])
        counts = {model: found.count() for model, found in going_with(rows).items()}
        named = {str(model._meta.verbose_name_plural): n for model, n in counts.items() if n}
        lacking = {
            str(model._meta.verbose_name)
            for model, n in counts.items()
            if n and not request.user.has_perm(f"runapp.delete_{model._meta.model_name}")
        }
        return [f"{n} {name}" for name, n in named.items()], named, lacking, []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        rows_delete(self.model._default_manager.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows_delete(queryset)


def user_of(request: HttpRequest) -> User:
    return cast(User, request.user)


def link(page: str, pk: object, text: object) -> SafeString:
    """A link to an admin page of a row."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{page}", args=[pk]), text)


def list_link(model: str, query: str, text: object) -> SafeString:
    """A link to a list of rows, narrowed by ``query``."""
    address = reverse(f"admin:runapp_{model}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, query, text)


@admin.display(description="owner", ordering="owner__username")
def owner_link(row: Any) -> str | SafeString:
    return link("auth_user_change", row.owner_id, row.owner) if row.owner else "-"
