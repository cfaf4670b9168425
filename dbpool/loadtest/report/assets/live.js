// Goes on with the page while the run does: what its server tells replaces chapters, and each second adds to the lines.
const Live = (() => {
  "use strict";
  const PATIENCE = 30;
  const COLUMNS = {
    timeline: (second, name) => second.completed,
    "timeline-response": (second, name) => second[{ p50: "response_p50_ms", p99: "response_p99_ms", max: "response_max_ms" }[name]],
    "timeline-failures": (second, name) => second[{ errors: "errors", "timed out": "timeouts", dropped: "dropped", skipped: "skipped" }[name]],
  };
  const now = document.getElementById("now"), main = document.getElementById("report");
  const chapters = new Map();
  let seconds = [], lost = 0;

  function chapter(key) {
    let section = document.getElementById(key);
    if (!section) {
      section = document.createElement("section");
      section.id = key;
      section.setAttribute("aria-labelledby", `${key}-title`);
    }
    return section;
  }

  // Replaces a chapter that changed; what was open, focused or scrolled to in it stays so.
  function replace(section, html) {
    if (chapters.get(section.id) === html) return;
    chapters.set(section.id, html);
    const open = [...section.querySelectorAll("details")].map((each) => each.open);
    const focused = [...section.querySelectorAll("a, button, summary, [tabindex]")].indexOf(document.activeElement);
    section.innerHTML = html;
    section.querySelectorAll("details").forEach((each, number) => { each.open = Boolean(open[number]); });
    section.refocus = focused;
  }

  function state(told) {
    document.title = told.title;
    document.getElementById("heading").innerHTML = told.heading;
    document.getElementById("contents").innerHTML = told.contents;
    document.getElementById("textures").innerHTML = told.textures;
    const sections = told.sections.map(([key, html]) => {
      const section = chapter(key);
      replace(section, html);
      return section;
    });
    const wanted = new Set(sections);
    for (const section of [...main.children]) if (!wanted.has(section)) section.remove();
    sections.forEach((section, number) => { if (main.children[number] !== section) main.insertBefore(section, main.children[number] || null); });
    Plots.drawAll(told.figures);
    Page.copies(main);
    for (const section of sections) {
      if (section.refocus >= 0) section.querySelectorAll("a, button, summary, [tabindex]")[section.refocus]?.focus({ preventScroll: true });
      section.refocus = -1;
    }
    seconds = seconds.filter((each) => each.t + 1 > told.upto);
    seconds.forEach(add);
  }

  function add(second) {
    for (const [key, value] of Object.entries(COLUMNS)) {
      const entry = Plots.made.get(key);
      if (!entry || second.t <= entry.figure.xs.at(-1)) continue;
      entry.figure.xs.push(second.t);
      for (const series of entry.figure.series) series.values.push(value(second, series.name) ?? null);
      Plots.grow(entry);
    }
  }

  const source = new EventSource("events");
  const on = (name, then) => source.addEventListener(name, (event) => { lost = 0; then(JSON.parse(event.data)); });
  on("state", state);
  on("now", ({ text }) => { now.textContent = `Now ${text}`; });
  on("tick", (second) => { seconds.push(second); add(second); });
  on("end", () => { source.close(); now.textContent = "The run is over: this is its report."; });
  source.addEventListener("error", () => {
    lost += 1;
    now.textContent = lost < PATIENCE ? "The run does not answer; trying again." : "The run has gone: this is what it had told.";
    if (lost >= PATIENCE) source.close();
  });
  return { source };
})();
