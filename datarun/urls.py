"""Paths of the master."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import parsers
from rest_framework.authtoken.views import ObtainAuthToken

from runapp.api import monitoring
from runapp.api.parsers import JSONParser
from runapp.api.staff import StaffCheck

_obtain_token = ObtainAuthToken.as_view(
    schema=None, parser_classes=(JSONParser, parsers.FormParser, parsers.MultiPartParser)
)

# Its script is a file of its own, so that the page runs under a policy without 'unsafe-inline'.
_docs = SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="docs.html")

_icon = RedirectView.as_view(
    url=f"{settings.STATIC_URL}runapp/icon.svg", http_method_names=["get", "head", "options"]
)

urlpatterns = [
    # Browsers ask for it where a page names no other, as the admin pages do.
    path("favicon.ico", _icon, name="favicon"),
    path("", include("runapp.dashboard.urls")),
    path("runapp/", include("runapp.api.urls")),
    path("api-auth/login/", LoginView.as_view(template_name="login.html"), name="login"),
    path("api-auth/staff/", StaffCheck.as_view(), name="staff"),
    path("api-auth/", include("rest_framework.urls")),
    path("api-token-auth/", _obtain_token, name="token"),
    path("docs/", login_required(_docs), name="docs"),
    path("schema/", login_required(SpectacularAPIView.as_view()), name="schema"),
    path("admin/", admin.site.urls),
    path("healthz", monitoring.healthz, name="healthz"),
    path("readyz", monitoring.readyz, name="readyz"),
    path("metrics", monitoring.metrics, name="metrics"),
]
handler400 = "runapp.api.exceptions.bad_request"
handler404 = "runapp.api.exceptions.not_found"
handler500 = "runapp.api.exceptions.server_error"
