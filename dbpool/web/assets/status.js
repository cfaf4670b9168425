// Keeps the page up to date: what the server tells replaces what changed, and each second adds to the lines.
(() => {
  "use strict";
  const KEPT = 300, SILENCE_MS = 5000, POLL_MS = 2000, LETTER = 6.6;
  const first = JSON.parse(document.getElementById("state").textContent);
  const live = document.getElementById("live");
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  // Numbers as people read them.
  const count = (value) => value >= 10 || Number.isInteger(value) ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
  const seconds = (value) => value === 0 ? "0" : value < 0.001 ? `${Math.round(value * 1e6)} µs`
    : value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : value < 60 ? `${Number(value.toFixed(1))} s` : `${Number((value / 60).toFixed(1))} min`;
  const clock = (at) => new Date(at * 1000).toISOString().slice(11, 19);

  const CHARTS = {
    connections: { show: count, whole: true, series: [["held", "held", "main", true], ["idle", "idle", "idle"], ["limit", "limit", "quiet", false, true]] },
    line: { show: count, whole: true, series: [["waiting", "in line", "warm", true]] },
    wait: { show: seconds, series: [["mean_wait_s", "mean", "main"], ["oldest_wait_s", "longest now", "bad"]] },
    granted: { show: count, series: [["granted_per_s", "granted", "work", true]] },
    errors: { show: count, series: [["timeouts_per_s", "timed out", "bad"], ["refused_per_s", "refused", "odd"], ["connect_failures_per_s", "failed connects", "warm"]] },
  };

  // Makes *old* equal to *fresh* by the least change: what is selected, focused or unfolded stays so.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
    if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== fresh.data) old.data = fresh.data; return; }
    for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, fresh);
  }

  function children(old, fresh) {
    const nodes = [...fresh.childNodes];
    nodes.forEach((node, at) => {
      const here = old.childNodes[at] ?? null, key = node.dataset?.key;
      const known = key ? [...old.children].find((each) => each.dataset.key === key) : here;
      if (!known) { old.insertBefore(node, here); return; }
      if (known !== here) old.insertBefore(known, here);
      morph(known, node);
    });
    while (old.childNodes.length > nodes.length) old.lastChild.remove();
  }

  // A column for uPlot each; where a second is missing, the lines have a gap.
  function columns(timeline, names) {
    const found = [[], ...names.map(() => [])];
    timeline.at.forEach((at, number) => {
      if (number && at - timeline.at[number - 1] > 2.5) { found[0].push(at - 1); for (const each of found.slice(1)) each.push(null); }
      found[0].push(at);
      names.forEach((name, place) => found[place + 1].push(timeline[name][number]));
    });
    return found;
  }

  class Chart {
    constructor(figure, timeline, group) {
      this.kind = CHARTS[figure.dataset.chart];
      this.names = this.kind.series.map(([name]) => name);
      this.figure = figure;
      this.box = figure.querySelector(".plot");
      this.group = group;
      this.values = this.kind.series.map(([, label, color, , dashed]) => {
        const item = document.createElement("li"), mark = document.createElement("i"), value = document.createElement("b");
        mark.className = `c-${color}${dashed ? " dashed" : ""}`;
        item.append(mark, label, value);
        figure.querySelector(".legend").append(item);
        return value;
      });
      this.build(timeline);
    }

    build(timeline) {
      this.plot?.destroy();
      this.timeline = timeline;
      const { show, series } = this.kind;
      const look = { stroke: ink("soft"), font: "11.5px system-ui, sans-serif" };
      const wide = (u, names) => 12 + LETTER * Math.max(2, ...(names ?? []).map((name) => name.length));
      this.plot = new uPlot({
        width: this.box.clientWidth || 300, height: 120, padding: [6, 8, 0, 0], legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: this.group, setSeries: false } },
        scales: { x: { time: false, range: () => [this.until - KEPT, this.until] }, y: { range: (u, low, high) => [0, this.top(high)] } },
        axes: [
          {
            ...look, size: 22, gap: 4, grid: { show: false }, ticks: { stroke: ink("soft"), width: 1, size: 4 },
            splits: (u, axis, low, high) => { const step = u.width < 420 ? 120 : 60, from = Math.ceil(low / step) * step; return Array.from({ length: Math.floor((high - from) / step) + 1 }, (_, each) => from + each * step); },
            values: (u, splits) => splits.map((at) => clock(at).slice(0, 5)),
          },
          {
            ...look, size: wide, gap: 6, grid: { stroke: ink("grid"), width: 1 }, ticks: { show: false },
            splits: (u, axis, low, high) => high >= 2 || !this.kind.whole ? [0, high / 2, high] : [0, high],
            values: (u, splits) => splits.map(show),
          },
        ],
        series: [{}, ...series.map(([, label, color, filled, dashed]) => ({
          label, stroke: ink(color), width: dashed ? 1.5 : 2, dash: dashed ? [5, 4] : undefined, points: { show: false },
          fill: filled ? ink(color) + "2e" : undefined, spanGaps: false,
        }))],
        hooks: { setCursor: [() => this.tell()] },
      }, columns(timeline, this.names), this.box);
      this.tell();
    }

    get until() { return this.timeline.at.at(-1) ?? Date.now() / 1000; }

    // The end of the axis: a round number that the highest value is below.
    top(high) {
      const least = this.kind.show === seconds ? 0.01 : this.kind.whole ? 2 : 1, wanted = Math.max(high ?? 0, least);
      const power = 10 ** Math.floor(Math.log10(wanted));
      const found = [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((each) => each * power).find((each) => each >= wanted * 0.9999);
      return this.kind.whole ? 2 * Math.ceil(found / 2) : found;
    }

    tell() {
      if (!this.plot) return;
      const at = this.plot.cursor.idx ?? this.plot.data[0].length - 1;
      this.values.forEach((value, number) => {
        const shown = this.plot.data[number + 1][at];
        value.textContent = shown === null || shown === undefined ? "–" : this.kind.show(shown);
      });
    }

    draw(timeline) {
      this.timeline = timeline;
      this.plot.setData(columns(timeline, this.names));
      this.tell();
    }

    fit() {
      if (this.box.clientWidth && this.box.clientWidth !== this.plot.width) this.plot.setSize({ width: this.box.clientWidth, height: 120 });
    }
  }

  const pools = [...document.querySelectorAll(".charts")].map((frame, at) => {
    frame.hidden = false;
    const timeline = first.timelines[at];
    return { timeline, charts: [...frame.querySelectorAll("figure")].map((figure) => new Chart(figure, timeline, `pool-${at}`)) };
  });
  new ResizeObserver(() => pools.forEach(({ charts }) => charts.forEach((chart) => chart.fit()))).observe(document.getElementById("pools"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => pools.forEach(({ charts, timeline }) => charts.forEach((chart) => chart.build(timeline))));

  function say(text, isOn) {
    if (live.textContent !== text) live.textContent = text;
    live.className = isOn ? "on" : "off";
  }

  function take(told, isWhole) {
    if (told.build !== first.build) { say("A newer version is running: reload the page.", false); return false; }
    for (const [key, html] of Object.entries(told.sections)) {
      const template = document.createElement("template");
      template.innerHTML = html;
      children(document.getElementById(key), template.content);
    }
    told.timelines.forEach((timeline, at) => {
      const pool = pools[at], last = pool.timeline.at.at(-1) ?? 0;
      if (isWhole) pool.timeline = timeline;
      else if (timeline.at.length && timeline.at[0] > last)
        for (const [name, values] of Object.entries(pool.timeline)) { values.push(...timeline[name]); values.splice(0, values.length - KEPT); }
      pool.charts.forEach((chart) => chart.draw(pool.timeline));
    });
    return true;
  }

  let source = null, heardAt = 0, timer = 0, polled = 0;

  function stop() {
    source?.close();
    source = null;
    clearTimeout(timer);
  }

  function listen() {
    stop();
    heardAt = Date.now();
    source = new EventSource("events");
    const on = (name, isWhole) => source.addEventListener(name, (event) => {
      heardAt = Date.now();
      if (take(JSON.parse(event.data), isWhole)) say("Live", true);
    });
    on("whole", true);
    on("step", false);
    source.addEventListener("over", () => poll());
    source.addEventListener("error", () => {
      if (Date.now() - heardAt > POLL_MS) say("The server does not answer: trying again.", false);
      if (source?.readyState === EventSource.CLOSED) { stop(); timer = setTimeout(poll, POLL_MS / 2); }
    });
    timer = setInterval(() => { if (Date.now() - heardAt > SILENCE_MS) poll(); }, 1000);
  }

  // Where events do not come through, or the server is away: asks again and again, now and then for events.
  async function poll() {
    stop();
    try {
      const answer = await fetch("update.json");
      if (answer.status === 401 || answer.status === 403) { say("Access has ended: reload the page.", false); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      if (take(await answer.json(), true)) say("Live, every 2 seconds", true);
      polled += 1;
    } catch {
      say("The server does not answer: trying again.", false);
      polled = 2;
    }
    if (!document.hidden) timer = setTimeout(polled % 5 === 3 ? listen : poll, POLL_MS);
  }

  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else listen(); });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
  listen();
})();
