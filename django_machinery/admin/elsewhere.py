"""Tasks whose states are not in this database: they are listed, found and acted on through their servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from django_machinery.admin import audit, looks, task_page
from django_machinery.admin.base import OperatorAdmin
from django_machinery.admin.search import usable_servers
from django_machinery.admin.shown import Shown
from django_machinery.exceptions import MachineryError
from django_machinery.handler import servers
from django_machinery.inspector import Inspector
from django_machinery.models import Attempt, Progress, TaskState
from django_machinery.models.fields import fitted
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.states import FINAL, STATES

if TYPE_CHECKING:
    from django_machinery.admin.actions import OperatorAction
    from django_machinery.protocol.states import TaskState as StoredState
    from django_machinery.server import Server

T = TypeVar("T")

PAGE = 50
"""Tasks on a page of the list."""
MOST_ALIKE = 10_000
"""Tasks that were sent within the same microsecond and are paged through."""
_TICK = timedelta(microseconds=1)


def is_elsewhere(server: Server) -> bool:
    """Are the states of that server not in the table that these pages show?"""
    backend, here = server.backend, router.db_for_read(TaskState)
    return not (backend.supports_transactions and server.config.database == here)


@dataclass(frozen=True)
class Wanted:
    """The part of a server's list that an address asks for."""

    server: str
    state: str = ""
    name: str = ""
    before: datetime | None = None
    """The time of the last task on the page before."""
    alike: int = 0
    """How many tasks of that very time were on pages before."""

    @classmethod
    def of(cls, query: QueryDict, choices: list[str]) -> Wanted:
        """What makes no sense is left out."""
        server, state, name = (query.get(field, "") for field in ("server", "state", "name"))
        before, alike = _time(query.get("before", "")), query.get("alike", "")
        return cls(
            server if server in choices else choices[0],
            state if state in STATES else "",
            name,
            before,
            min(int(alike), MOST_ALIKE) if before and alike.isdecimal() else 0,
        )

    def find(self) -> tuple[list[StoredState], dict[str, Any] | None]:
        """The page, and what to ask for to get the next; None: it is the last."""
        until = None if self.before is None else self.before + _TICK
        found = Inspector(servers[self.server]).states(self.alike + PAGE + 1, until, self.state, self.name)
        page = found[self.alike : self.alike + PAGE]
        if len(found) <= self.alike + PAGE:
            return page, None
        last = page[-1].created_at
        alike = sum(1 for state in found[:-1] if state.created_at == last)
        return page, {**self.filter, "before": last.isoformat(), "alike": alike}

    @property
    def filter(self) -> dict[str, Any]:
        """It from its first page on, as the address tells it."""
        return {"server": self.server, "state": self.state, "name": self.name}


class ElsewhereAdmin(OperatorAdmin[TaskState]):
    """The pages of such tasks, with the actions of those that have a row."""

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """The task with a UUID: its page here, or what the servers know of it. Without a UUID the list of a server."""
        if not self.may(request, "view"):
            raise PermissionDenied
        uuid = fitted(request.GET.get("uuid", "").strip())
        if not uuid:
            return self._list(request)
        here = TaskState.objects.filter(uuid=uuid).values_list("id", flat=True).first()
        return self._found(request, uuid) if here is None else HttpResponseRedirect(self.url("change", here))

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Do something with one task; what destroys is asked again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name, alias, uuid = (request.POST.get(field, "") for field in ("action", "server", "uuid"))
        action = next((action for action in self._allowed(request) if action.name == name), None)
        if action is None:
            raise PermissionDenied
        if alias not in servers or not uuid:
            self.message_user(request, _("There is no such task."), messages.ERROR)
            return HttpResponseRedirect(self.url("find"))
        if action.destroys and "confirmed" not in request.POST:
            context = self.page_context(request, title=_("%(action)s?") % {"action": action.label}, subtitle=uuid)
            context |= {"action": action, "server": alias, "uuid": uuid}
            return TemplateResponse(request, "admin/machinery/taskstate/confirm_elsewhere.html", context)
        self._act(request, action, alias, uuid)
        return HttpResponseRedirect(f"{self.url('find')}?{urlencode({'uuid': uuid})}")

    def _act(self, request: HttpRequest, action: OperatorAction, alias: str, uuid: str) -> None:
        try:
            changed = action.run(servers[alias], [uuid], request.user.get_username())
        except MachineryError as error:
            self.message_user(request, f"{action.label}: {error}", messages.ERROR)
            return
        audit.record(request.user, TaskState, action.label, [(uuid[:255], uuid)], destroyed=action.destroys)
        text = _("%(action)s: done for %(changed)s of %(asked)s.")
        level = messages.SUCCESS if changed else messages.WARNING
        self.message_user(request, text % {"action": action.label, "changed": changed, "asked": 1}, level)

    def _allowed(self, request: HttpRequest) -> list[OperatorAction]:
        allowed = self.get_actions(request)
        actions: Sequence[Any] = self.actions or ()
        return [action for action in actions if action.name in allowed]

    def _list(self, request: HttpRequest) -> HttpResponse:
        choices = [server.config.alias for server in usable_servers() if _lists_elsewhere(server)]
        context = self.page_context(request, title=_("Tasks in other stores"), servers=choices, states=STATES)
        if choices:
            wanted = Wanted.of(request.GET, choices)
            context |= {"wanted": wanted, "newest": f"?{urlencode(wanted.filter)}" if wanted.before else ""}
            try:
                page, older = wanted.find()
            except MachineryError:
                context["unreachable"] = [wanted.server]
            else:
                shown = Shown(wanted.server, "")
                context["tasks"] = [(state, shown.text(state.error)) for state in page]
                context["older"] = f"?{urlencode(older)}" if older else ""
        return TemplateResponse(request, "admin/machinery/taskstate/find.html", context)

    def _found(self, request: HttpRequest, uuid: str) -> HttpResponse:
        allowed = self._allowed(request)
        found, unreachable = _ask_all(lambda server: _panel(server, uuid, allowed))
        if not found:
            found = list(_forgotten(uuid))
        title = next((task["name"] for task in found if task["name"]), uuid)
        context = self.page_context(request, title=title, uuid=uuid, found=found, unreachable=unreachable)
        return TemplateResponse(request, "admin/machinery/taskstate/found.html", context)


def _lists_elsewhere(server: Server) -> bool:
    return is_elsewhere(server) and server.backend.supports_listing


def _panel(server: Server, uuid: str, allowed: list[OperatorAction]) -> dict[str, Any] | None:
    """What a server knows of a task; None: nothing."""
    state = Inspector(server).state(uuid)
    if state is None:
        return None
    (signature,) = server.backend.signatures([uuid])
    alias, database = server.config.alias, server.config.database
    shown = Shown(alias, "" if signature is None else encode_signature(signature))
    progress = Progress.objects.using(database).filter(uuid=uuid).first() if state.state not in FINAL else None
    return {
        "server": alias,
        "state": state,
        "name": state.task_name,
        "queue": "" if signature is None else signature.queue,
        "error": shown.text(state.error),
        "arguments": signature and [(name, looks.pretty(value)) for name, value in shown.arguments or ()],
        "results": _results(state, shown),
        "progress": progress and task_page.progress_shown(progress.done, progress.total, shown.text(progress.note)),
        "attempts": task_page.attempts_shown(_attempts(database, uuid), shown),
        "actions": [action for action in allowed if _makes_sense(action, state, server)],
    }


def _makes_sense(action: OperatorAction, state: StoredState, server: Server) -> bool:
    if action.name == "retry" and not server.backend.keeps_signatures:
        return False
    return task_page.is_sensible(action.name, state.state, state.task_name)


def _results(state: StoredState, shown: Shown) -> list[tuple[str, str]] | None:
    if state.results is None:
        return None
    values = [(result.type, bytes(result.value).decode(errors="replace")) for result in state.results if result]
    return [(kind, shown.text(looks.pretty(value))) for kind, value in values]


def _forgotten(uuid: str) -> Iterator[dict[str, Any]]:
    """The attempts of a task whose state has expired, which is sooner."""
    databases = {server.config.database: server.config.alias for server in reversed(usable_servers())}
    for database, alias in databases.items():
        attempts = task_page.attempts_shown(_attempts(database, uuid), Shown(alias, ""))
        if attempts:
            yield {"name": attempts[0]["row"].name, "attempts": attempts}


def _attempts(database: str, uuid: str) -> list[Attempt]:
    return task_page.newest_first(Attempt.objects.using(database).filter(uuid=uuid))


def _ask_all(ask: Callable[[Server], T | None]) -> tuple[list[T], list[str]]:
    """The answers of the servers that have one, and the servers that cannot be reached."""
    found: list[T] = []
    unreachable = []
    for alias in servers:
        try:
            answer = ask(servers[alias])
        except MachineryError:
            unreachable.append(alias)
        else:
            found += [] if answer is None else [answer]
    return found, unreachable


def _time(text: str) -> datetime | None:
    """A time with its zone, far from the ends of the calendar; None where the text is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and moment.year < 9999 else None
