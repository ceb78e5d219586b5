"""What the API's schema cannot be read off the code."""

from drf_spectacular.authentication import BasicScheme


class RememberingBasicScheme(BasicScheme):
    """To a caller our Basic authentication is HTTP's."""

    target_class = "runapp.api.authentication.BasicAuthentication"
    name = "basicAuth"
