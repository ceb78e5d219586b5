"""Settings of the master. Safe with no variable set; in PROD a missing or placeholder value stops the start.

Every value that depends on the machine comes from ``runapp.environment``.
"""

import secrets
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from datarun import __version__
from runapp.environment import BASE_DIR, Environment
from runapp.errors import ConfigurationError

try:
    ENVIRONMENT = Environment.read()
    ENVIRONMENT.require_master()
except ConfigurationError as error:
    raise ImproperlyConfigured(error.message) from None

_variables = ENVIRONMENT.variables


def _secret_key() -> str:
    """The configured key, or one that is made once for this machine and kept where others cannot read it."""
    if key := _variables.get("DR_SECRET_KEY"):
        return key
    place = ENVIRONMENT.home / "secret_key"
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with open(place, "x", opener=_private) as stream:
            stream.write(secrets.token_urlsafe(64))
    except FileExistsError:
        pass  # made by an earlier start
    return place.read_text()


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)


def _databases() -> dict[str, Any]:
    if name := _variables.get("DR_DATABASE_NAME"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": _variables.get("DR_DATABASE_USER", ""),
            "PASSWORD": _variables.get("DR_DATABASE_PASSWORD", ""),
            "HOST": _variables.get("DR_DATABASE_HOST", "localhost"),
            "PORT": _variables.get("DR_DATABASE_PORT", "5432"),
            "CONN_MAX_AGE": 600,
            "CONN_HEALTH_CHECKS": True,
        }
    ENVIRONMENT.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ENVIRONMENT.home / "datarun.sqlite3",
        # Four writers at once go without an error only so.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def _counters() -> dict[str, Any]:
    """Where failed log-ins and posts are counted.

    With a Redis in it, where all processes of the web server count together; the database would pay a
    write, and a lock on one row, for each post. Without one each process counts for itself, so that a
    limit is as many times higher as there are processes.
    """
    url = ENVIRONMENT.counters_url
    if url is None:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "counters"}
    # A Redis that is away must not hold up a post: runapp.services.counters does without it.
    options = {"socket_timeout": 0.5, "retry": Retry(NoBackoff(), 0)}
    if not url.startswith("unix:"):
        options["socket_connect_timeout"] = 0.5
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url, "OPTIONS": options}


SECRET_KEY = _secret_key()
DEBUG = False
_named_hosts = (host.strip() for host in _variables.get("DR_ALLOWED_HOSTS", "").split(","))
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", ENVIRONMENT.master_host, *filter(None, _named_hosts)]

DATABASES = {"default": _databases()}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    #: Digests of verified passwords; see runapp.api.authentication.
    "verified": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "verified"},
    "counters": _counters(),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

#: Largest body of a request, and how many bytes the files in it may decompress to in all.
MAX_BODY_BYTES = ENVIRONMENT.integer("DR_MAX_BODY_MB", 128) * 2**20
MAX_DECOMPRESSED_BYTES = ENVIRONMENT.integer("DR_MAX_DECOMPRESSED_MB", 512) * 2**20
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

#: After how many failed log-ins to one account within five minutes it must wait, and how often an account
#: may post in an hour: several times what the web server can take from one caller at a time.
MAX_LOGIN_FAILURES = ENVIRONMENT.integer("DR_MAX_LOGIN_FAILURES", 10)
MAX_POSTS_PER_HOUR = ENVIRONMENT.integer("DR_MAX_POSTS_PER_HOUR", 200_000)

#: Networks whose callers may read /readyz and /metrics.
METRICS_ALLOW = ENVIRONMENT.networks("DR_METRICS_ALLOW", "127.0.0.0/8, ::1/128")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "runapp",
]
MIDDLEWARE = [
    # First: what any other one answers carries the policy, too.
    "runapp.dashboard.content_security.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "runapp.api.body_limit.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "runapp.api.exceptions.TooManyRequestsMiddleware",
]
ROOT_URLCONF = "datarun.urls"
WSGI_APPLICATION = "datarun.wsgi.application"
TEST_RUNNER = "runapp.tests.pytest_runner.PytestRunner"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "runapp.dashboard.pages.navigation",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["runapp.api.login.LimitedLogins"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "overview"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "runapp.api.authentication.BasicAuthentication",
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["runapp.api.throttles.PostThrottle"],
    "DEFAULT_PARSER_CLASSES": ["runapp.api.parsers.JSONParser", "rest_framework.parsers.FormParser"],
    # Escaped: an error that quotes half a surrogate pair of the request could not be encoded.
    "UNICODE_JSON": False,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "runapp.api.pagination.PageWhenAsked",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "runapp.api.exceptions.answer_exception",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "datarun",
    "DESCRIPTION": (
        "Train and test machine-learning submissions on cross-validation folds.\n\n"
        "The examples work when pasted into a terminal or into Python, and name your own data set and fold. "
        "Make a token on the page of [your account](/account/) first, and tell your shell: "
        "`export DATARUN_TOKEN=...`\n\n"
        "Contents of files are `base64(zlib(bytes))`, row numbers `base64(zlib(little-endian int64))`, "
        "predictions `base64(zlib(C-order little-endian float64))`. Every error is JSON: "
        '`{"<field>": ["reason"]}` for a wrong field, `{"detail": "...", "code": "..."}` for the rest.'
    ),
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
    "SWAGGER_UI_DIST": "SIDECAR",
    # Without a validator, which would be asked elsewhere.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False, "persistAuthorization": False, "validatorUrl": ""},
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "runapp.api.schema.add_errors",
        "runapp.api.schema.add_examples",
    ],
    "ENUM_NAME_OVERRIDES": {
        "StateEnum": "runapp.models.STATE_CHOICES",
        "SplitStateEnum": "runapp.models.SPLIT_STATE_CHOICES",
        "RankingEnum": "runapp.models.Ranking",
    },
}

#: Where Flower is, to which the admin pages lead; the master's web server serves it below its own address.
FLOWER_URL = _variables.get("DR_FLOWER_URL", "/flower/" if ENVIRONMENT.production else "")

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
_static_root = Path(_variables.get("DR_STATIC_ROOT", BASE_DIR / "staticfiles"))
#: Production collects static files; everywhere else they are served from where they are.
STATIC_ROOT = _static_root if ENVIRONMENT.production else None
WHITENOISE_USE_FINDERS = not ENVIRONMENT.production

if email := _variables.get("DR_EMAIL"):
    DEFAULT_FROM_EMAIL = SERVER_EMAIL = email
    ADMINS = [("datarun", email)]

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
if ENVIRONMENT.production:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 3600
    #: Monitoring asks the web server itself, past the proxy.
    SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
    # Whether other hosts of the domain speak HTTPS alone is not ours to promise.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS]

_FORMATTERS: dict[str, Any] = {
    "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    "json": {"()": "runapp.logs.JsonFormatter"},
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": _FORMATTERS,
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json" if ENVIRONMENT.production else "text",
        }
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"django.server": {"level": "WARNING"}},
}
