// Shows, under the spec of a schedule, what it means while it is typed. Without it the page says so once it is saved.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const place = document.getElementById("schedule-preview");
    const spec = document.getElementById("id_spec");
    if (!place || !spec) return;
    const times = ["starts_at_0", "starts_at_1", "ends_at_0", "ends_at_1"];
    const names = ["spec", "timezone", "dst_gap", "dst_overlap", ...times];
    const inputs = names.map((name) => document.getElementById("id_" + name));
    spec.closest("div").after(place);
    let latest = 0;

    async function show() {
        const asked = ++latest;
        const query = new URLSearchParams(inputs.map((input, index) => [names[index], input.value]));
        const answer = await fetch(place.dataset.url + "?" + query, {headers: {Accept: "application/json"}});
        if (asked !== latest || !answer.ok) return;
        const {words, runs} = await answer.json();
        place.replaceChildren(words, ...runs.flatMap((run) => [document.createElement("br"), run]));
    }

    let timer;
    function showSoon() {
        clearTimeout(timer);
        timer = setTimeout(show, 250);
    }
    for (const input of inputs) {
        input.addEventListener("input", showSoon);
        input.addEventListener("focus", showSoon); // all that the calendar of the admin does after it has filled a field
    }
});
