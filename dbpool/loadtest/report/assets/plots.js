// Makes each figure of the page a plot to be hovered, read by keys and, over time, zoomed.
const Plots = (() => {
  "use strict";
  const made = new Map();
  const LETTER = 6.6;

  const plain = (value) => value === null || value === undefined ? "–"
    : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US")
      : Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 6 });
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  // Labels of those ticks that have room; the others stay without one.
  function roomy(u, splits, names) {
    let free = -Infinity;
    return splits.map((at, number) => {
      const name = names[number], x = u.valToPos(at, "x"), half = (name.length * LETTER) / 2;
      if (!name || x - half < free) return "";
      free = x + half + LETTER;
      return name;
    });
  }

  function timeTicks(low, high) {
    const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200].find((each) => (high - low) / each <= 9) || 7200;
    const ticks = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push(at);
    return ticks;
  }

  function axes(figure, zoomed) {
    const look = { stroke: Canvas.ink("soft"), font: "11.5px system-ui, sans-serif" };
    const line = { stroke: Canvas.ink("grid"), width: 1 };
    const names = figure.x.ticks.map(([at, name]) => (figure.names && !name ? figure.names[at] : name));
    const longest = Math.max(figure.follows ? 6 : 1, ...figure.y.ticks.map(([, name]) => name.length));
    return [
      {
        ...look, label: figure.x.label, labelFont: look.font, labelSize: 16, size: 28, gap: 4, grid: { show: false },
        ticks: { stroke: Canvas.ink("soft"), width: 1, size: 4 }, border: { show: true, stroke: Canvas.ink("soft"), width: 1 },
        splits: (u, _, low, high) => zoomed ? timeTicks(low, high) : figure.x.ticks.map(([at]) => at),
        values: (u, splits) => roomy(u, splits, zoomed ? splits.map(clock) : names),
        filter: (u, splits) => splits,
      },
      {
        ...look, size: 14 + LETTER * longest, gap: 6, grid: line, ticks: { show: false },
        splits: () => figure.y.ticks.map(([at]) => at),
        values: () => figure.y.ticks.map(([, name]) => name),
        filter: (u, splits) => splits,
      },
    ];
  }

  function scales(figure) {
    const { x, y } = figure;
    return {
      x: {
        time: false, distr: x.log ? 3 : 1,
        range: (u, low, high) => u.zoomed ? [low, high] : [x.low, x.high],
      },
      y: { distr: y.log ? 3 : 1, range: () => [y.low, y.high] },
    };
  }

  // uPlot wants one row of x values; lines with their own are joined in, and one that ends early has a null after it.
  function joined(figure) {
    if (figure.reach) {
      const xs = [], columns = figure.series.map(() => []);
      figure.xs.forEach((x, at) => {
        if (at && x - figure.xs[at - 1] > figure.reach) {
          xs.push((x + figure.xs[at - 1]) / 2);
          for (const column of columns) column.push(null);
        }
        xs.push(x);
        figure.series.forEach((each, number) => columns[number].push(each.values[at]));
      });
      return [xs, ...columns];
    }
    const shared = figure.series.filter((each) => !each.xs), own = figure.series.filter((each) => each.xs);
    const tables = [[figure.xs, ...shared.map((each) => each.values)], ...own.map((each) => [each.xs, each.values])];
    const [xs, ...columns] = own.length ? uPlot.join(tables) : tables[0];
    const order = [...shared, ...own];
    return [xs, ...figure.series.map((each) => columns[order.indexOf(each)])];
  }

  function lines(figure) {
    return [{}, ...figure.series.map((each) => ({
      label: each.name, scale: "y", stroke: Canvas.ink(each.color), width: 2, dash: each.dashed ? [6, 4.5] : undefined,
      points: { show: false }, paths: each.kind === "line" ? undefined : () => null,
    }))];
  }

  function valueAt(figure, series, at) {
    if (!series.xs) return series.values[at];
    const x = figure.xs[at], next = series.xs.findIndex((each) => each >= x);
    if (next < 0) return null;
    if (series.xs[next] === x) return series.values[next];
    if (next === 0) return null;
    const part = (x - series.xs[next - 1]) / (series.xs[next] - series.xs[next - 1]);
    return series.values[next - 1] + part * (series.values[next] - series.values[next - 1]);
  }

  function nearest(entry, left) {
    const { plot, figure } = entry;
    let best = 0, away = Infinity;
    figure.xs.forEach((x, at) => {
      const distance = Math.abs(plot.valToPos(x, "x") - left);
      if (distance < away) { away = distance; best = at; }
    });
    return best;
  }

  function placeName(figure, at) {
    const x = figure.xs[at], span = figure.spans.find(([start, end]) => x >= start && x < end);
    return (figure.names ? figure.names[at] : figure.follows ? clock(x) : plain(x)) + (span ? `, ${span[2]}` : "");
  }

  function tell(entry, at) {
    const { figure, frame } = entry;
    entry.at = at;
    frame.querySelectorAll(".legend li").forEach((item, number) => {
      const value = at === null ? null : valueAt(figure, figure.series[number], at);
      item.querySelector(".value").textContent = at === null ? "" : value === null || value === undefined ? "–" : `${plain(value)} ${figure.y.unit}`.trim();
    });
    entry.reading.textContent = at === null ? "" : `${figure.x.label}: ${placeName(figure, at)}`;
  }

  function spoken(entry) {
    const { figure, at, plot } = entry;
    const values = figure.series.map((each, number) => [each, number]).filter(([, number]) => plot.series[number + 1].show)
      .map(([each]) => `${each.name} ${plain(valueAt(figure, each, at))}`);
    entry.speech.textContent = `${entry.reading.textContent}: ${values.join(", ")} ${figure.y.unit}`;
  }

  function point(entry, at, isLeading) {
    tell(entry, at);
    const left = at === null ? -10 : entry.plot.valToPos(entry.figure.xs[at], "x");
    if (!isLeading) entry.plot.setCursor({ left, top: at === null ? -10 : 10 }, false);
  }

  function followers(entry) {
    return [...made.values()].filter((each) => each !== entry && entry.figure.follows && each.figure.follows === entry.figure.follows);
  }

  function moved(entry) {
    const { left } = entry.plot.cursor;
    const at = left === undefined || left === null || left < 0 ? null : nearest(entry, left);
    if (at === entry.at) return;
    tell(entry, at);
    for (const other of followers(entry))
      point(other, at === null ? null : nearest(other, other.plot.valToPos(entry.figure.xs[at], "x")), false);
  }

  function zoom(entry, low, high) {
    for (const each of [entry, ...followers(entry)]) {
      each.plot.zoomed = low !== null;
      each.plot.setScale("x", low === null ? { min: each.figure.x.low, max: each.figure.x.high } : { min: low, max: high });
      if (each.reset) each.reset.hidden = low === null;
    }
  }

  function closer(entry, factor) {
    const { min, max } = entry.plot.scales.x, { low, high } = entry.figure.x;
    const middle = entry.at === null ? (min + max) / 2 : entry.figure.xs[entry.at], half = ((max - min) * factor) / 2;
    if (2 * half >= high - low) return zoom(entry, null, null);
    const from = Math.min(Math.max(low, middle - half), high - 2 * half);
    if (half > 1) zoom(entry, from, from + 2 * half);
  }

  function pressed(entry, event) {
    const { xs } = entry.figure, last = xs.length - 1, at = entry.at;
    const steps = { ArrowRight: at === null ? 0 : Math.min(last, at + 1), ArrowLeft: at === null ? last : Math.max(0, at - 1), Home: 0, End: last };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in steps) {
      point(entry, steps[event.key], false);
      for (const other of followers(entry)) point(other, nearest(other, other.plot.valToPos(xs[entry.at], "x")), false);
      spoken(entry);
    } else if (entry.figure.follows && (event.key === "+" || event.key === "=")) closer(entry, 0.5);
    else if (entry.figure.follows && event.key === "-") closer(entry, 2);
    else if (event.key === "Escape") { zoom(entry, null, null); point(entry, null, false); }
    else return;
    event.preventDefault();
  }

  const height = (frame) => frame.classList.contains("wide") ? (frame.clientWidth < 600 ? 250 : 300) : 260;

  function build(entry) {
    const { figure, frame, box } = entry, isOverTime = Boolean(figure.follows);
    const shown = (number) => entry.hidden.has(number) === false;
    const ratio = () => devicePixelRatio || 1;
    entry.plot = new uPlot({
      width: box.clientWidth || 300, height: height(frame), padding: [figure.spans.length ? 18 : 10, 20, 0, 0],
      scales: scales(figure), axes: axes(figure, isOverTime), series: lines(figure), legend: { show: false },
      cursor: {
        y: false, points: { show: false }, drag: { x: isOverTime, y: false, setScale: false },
        move: (u, left, top) => [left < 0 || !entry.plot ? left : u.valToPos(figure.xs[nearest(entry, left)], "x"), top],
        bind: { dblclick: () => () => { zoom(entry, null, null); return null; } },
      },
      hooks: {
        drawClear: [(u) => Canvas.behind(u, figure, ratio())],
        drawSeries: [(u, number) => {
          const series = figure.series[number - 1];
          if (series.kind === "area" || series.kind === "bar")
            Canvas.area(u, figure, series, Canvas.bases(figure, shown, number - 1), ratio());
          else Canvas.marks(u, figure, series, ratio());
        }],
        draw: [(u) => Canvas.rules(u, figure, ratio())],
        setCursor: [() => entry.plot && moved(entry)],
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          const low = u.posToVal(u.select.left, "x"), high = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          zoom(entry, low, high);
        }],
      },
    }, joined(figure), box);
    for (const number of entry.hidden) entry.plot.setSeries(number + 1, { show: false });
    frame.classList.add("drawn");
  }

  function toggles(entry) {
    entry.frame.querySelectorAll(".legend li").forEach((item, number) => {
      const inner = entry.figure.series.length > 1 ? document.createElement("button") : document.createElement("span");
      inner.append(...item.childNodes);
      const value = document.createElement("span");
      value.className = "value";
      item.append(inner);
      inner.append(value);
      if (inner.tagName !== "BUTTON") return;
      inner.type = "button";
      inner.setAttribute("aria-pressed", String(!entry.hidden.has(number)));
      inner.addEventListener("click", () => {
        const isShown = entry.hidden.delete(number) || (entry.hidden.add(number), false);
        inner.setAttribute("aria-pressed", String(isShown));
        entry.plot.setSeries(number + 1, { show: isShown });
        entry.plot.redraw();
      });
    });
  }

  function parts(entry) {
    const make = (tag, name) => Object.assign(document.createElement(tag), { className: name });
    entry.box = make("div", "lively");
    entry.box.tabIndex = 0;
    entry.box.setAttribute("role", "group");
    const more = entry.figure.follows ? ", plus and minus zoom, Escape shows all" : "";
    entry.box.setAttribute("aria-label", `${entry.figure.title}, plot. Arrow keys read the values${more}. All of them stand in the table below.`);
    entry.reading = make("span", "reading");
    entry.frame.querySelector(".axis").append(entry.reading);
    entry.speech = make("p", "unseen");
    entry.speech.setAttribute("aria-live", "polite");
    const still = entry.frame.querySelector(".still"), holder = make("div", "holder");
    still.before(holder);
    holder.append(entry.box, entry.speech, still);
    if (entry.figure.follows) {
      entry.reset = Object.assign(make("button", "reset"), { type: "button", hidden: true, textContent: "Show all of the time" });
      entry.reset.addEventListener("click", () => { zoom(entry, null, null); entry.box.focus(); });
      entry.frame.querySelector(".axis").append(entry.reset);
    }
    entry.box.addEventListener("keydown", (event) => pressed(entry, event));
    entry.box.addEventListener("blur", () => point(entry, null, false));
  }

  const sizes = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      const entry = [...made.values()].find((each) => each.box === target);
      if (entry && target.clientWidth && target.clientWidth !== entry.plot.width)
        entry.plot.setSize({ width: target.clientWidth, height: height(entry.frame) });
    }
  });

  function draw(key, figure, frame) {
    const before = made.get(key), shown = before?.plot.zoomed ? before.plot.scales.x : null;
    const entry = { key, figure, frame, at: null, hidden: before?.hidden ?? new Set(), plot: null };
    remove(key);
    made.set(key, entry);
    parts(entry);
    toggles(entry);
    build(entry);
    sizes.observe(entry.box);
    if (shown) zoom(entry, shown.min, shown.max);
  }

  function remove(key) {
    const entry = made.get(key);
    if (!entry) return;
    sizes.unobserve(entry.box);
    entry.plot.destroy();
    made.delete(key);
  }

  function drawAll(figures) {
    for (const frame of document.querySelectorAll("figure[data-figure]"))
      if (!frame.classList.contains("drawn")) draw(frame.dataset.figure, figures[frame.dataset.figure], frame);
    for (const [key, entry] of made) if (!entry.frame.isConnected) remove(key);
  }

  // Makes room for what was added to a figure: axes that end too early end later.
  function grow(entry) {
    const { x, y, xs, series } = entry.figure;
    if (xs.at(-1) > x.high) x.high = xs.at(-1) + Math.max(5, (xs.at(-1) - x.low) * 0.05);
    let top = 0;
    for (const each of series) top = Math.max(top, each.values.at(-1) || 0);
    while (top > y.high) {
      const last = y.ticks.at(-1)[0], step = y.log ? last : y.ticks.at(-1)[0] - y.ticks.at(-2)[0];
      y.ticks.push([last + step, (last + step).toLocaleString("en-US")]);
      y.high = Math.max(y.high, (last + step) * (y.log ? 1 : 1.02));
    }
    entry.plot.setData(joined(entry.figure), !entry.plot.zoomed);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const entry of made.values()) { entry.plot.destroy(); build(entry); }
  });

  return { drawAll, grow, made };
})();
