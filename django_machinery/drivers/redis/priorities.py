"""What `manage.py check` says about priorities, which the original does not have on Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import Warning

from django_machinery import registry

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_machinery.conf import ServerConfig


def priority_messages(config: ServerConfig) -> list[CheckMessage]:
    """Either they are on, where Go workers do not see them, or tasks ask for them in vain."""
    if config.redis_priorities:
        text = f"MACHINERY[{config.alias!r}] has REDIS_PRIORITIES: no Go worker sees a message that has a priority."
        hint = "Leave it off where Go workers share the queues; silence this check where none does."
        return [Warning(text, hint=hint, id="machinery.W201")]
    asking = [d.name for d in registry.tasks.definitions if d.priority and d.server == config.alias]
    if not asking:
        return []
    text = f"Tasks have a priority, which their broker ignores: {', '.join(sorted(asking))}."
    hint = f"Set MACHINERY[{config.alias!r}]['REDIS_PRIORITIES'], or give urgent tasks a queue of their own."
    return [Warning(text, hint=hint, id="machinery.W202")]
