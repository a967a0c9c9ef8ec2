"""The conditions under which the pages have to work in tests."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = "default-src 'self'"


class StrictPolicy:
    """Middleware: nothing inline, nothing from elsewhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response


class ForgetContentTypes:
    """Middleware: a test that commits has its content types made anew, with other keys, also behind a server's back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from django.contrib.contenttypes.models import ContentType  # not before the apps are loaded

        ContentType.objects.clear_cache()
        return self._get_response(request)
