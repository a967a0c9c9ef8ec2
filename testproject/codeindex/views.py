"""Two pages: ask for an index, and watch one grow. They work without JavaScript."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from testproject.codeindex.forms import PackageForm
from testproject.codeindex.indexing import follow, send_index
from testproject.codeindex.models import Identifier, Index

SHOWN = 50
"""How many indexes, and how many identifiers of one, a page shows."""


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """The form and the newest indexes; a valid POST sends the chord and leads to its page."""
    form = PackageForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        index, _ = send_index(form.cleaned_data["package"])
        return redirect("codeindex_index", index.pk)
    context = {"form": form, "indexes": Index.objects.all()[:SHOWN]}
    return render(request, "codeindex/home.html", context, status=400 if form.errors else 200)


@require_safe
def index(request: HttpRequest, pk: int) -> HttpResponse:
    """One index: its progress, with a page that reloads itself, or its table."""
    this = get_object_or_404(Index, pk=pk)
    context = {"index": this, "standing": follow(this), "identifiers": Identifier.objects.filter(index=this)[:SHOWN]}
    return render(request, "codeindex/index.html", context)
