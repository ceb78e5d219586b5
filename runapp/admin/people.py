"""Admin pages of accounts. Tokens have none: they would be shown there, and are their owners' alone."""

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.authtoken.models import TokenProxy

from runapp.services.accounts import token_revoke

admin.site.unregister([TokenProxy, User])


@admin.register(User)
class PeopleAdmin(UserAdmin):  # type: ignore[type-arg]  # not subscriptable
    list_display = ("username", "email", "roles", "is_staff", "is_active", "last_login")
    actions = ("revoke_tokens",)

    class Media:
        css = {"all": ("runapp/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="groups")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    @admin.action(description="Revoke the tokens of the selected users", permissions=["change"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            token_revoke(user)
        self.message_user(request, "Their tokens are refused from now on.", messages.SUCCESS)
