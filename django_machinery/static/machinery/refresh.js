/* Fetches `.mq-live[data-refresh]` anew every `data-every` seconds, not while the page is hidden. Without this script
   the page shows what it showed when it was loaded. */
(() => {
    "use strict";

    const FOCUSABLE = "a, button, summary, [tabindex]";
    let timer = 0;

    const live = () => document.querySelector(".mq-live[data-refresh]");

    function say(words, state) {
        const pulse = document.querySelector(".mq-pulse");
        if (pulse && pulse.textContent !== words) {
            pulse.textContent = words;
            pulse.dataset.state = state;
        }
    }

    function isBeingRead(part) {
        const selection = document.getSelection();
        return Boolean(selection && !selection.isCollapsed && part.contains(selection.anchorNode));
    }

    function replace(old, html) {
        const fresh = new DOMParser().parseFromString(html, "text/html").querySelector(".mq-live");
        if (!fresh) {
            return false;
        }
        const focused = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
        const open = [...old.querySelectorAll("details")].map((details) => details.open);
        old.replaceWith(document.adoptNode(fresh));
        fresh.querySelectorAll("details").forEach((details, index) => {
            details.open = open[index] ?? details.open;
        });
        if (focused >= 0) {
            fresh.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
        }
        return true;
    }

    async function refresh(part) {
        try {
            const answer = await fetch(part.dataset.refresh, { credentials: "same-origin", redirect: "error" });
            return answer.ok && replace(part, await answer.text());
        } catch {
            return false;
        }
    }

    async function tick() {
        const part = live();
        if (!part) {
            say("", "");
        } else if (document.hidden) {
            say(part.dataset.hidden, "hidden");
        } else {
            const words = part.dataset;
            if (isBeingRead(part) || (await refresh(part))) {
                say(words.fresh, "fresh");
            } else {
                say(words.stale, "stale");
            }
        }
        schedule();
    }

    function schedule() {
        const part = live();
        window.clearTimeout(timer);
        if (part && !document.hidden) {
            timer = window.setTimeout(tick, Number(part.dataset.every) * 1000);
        }
    }

    document.addEventListener("visibilitychange", tick);
    if (live()) {
        say(live().dataset.fresh, "fresh");
    }
    schedule();
})();
