// What uPlot does not draw itself: stacked areas and bars with textures, marks, intervals, rules, strips.
const Canvas = (() => {
  "use strict";
  const SIDE = 8;
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function pattern(ctx, color, texture, ratio) {
    const tile = document.createElement("canvas");
    const side = Math.round(SIDE * ratio);
    tile.width = tile.height = side;
    const brush = tile.getContext("2d");
    brush.fillStyle = color;
    brush.fillRect(0, 0, side, side);
    brush.strokeStyle = brush.fillStyle = ink("page");
    brush.lineWidth = 1.5 * ratio;
    const line = (...ends) => { brush.beginPath(); brush.moveTo(ends[0], ends[1]); brush.lineTo(ends[2], ends[3]); brush.stroke(); };
    for (const shift of [-side, 0, side]) {
      if (texture === "rising") line(shift - 1, side + 1, shift + side + 1, -1);
      if (texture === "falling") line(shift - 1, -1, shift + side + 1, side + 1);
    }
    if (texture === "dotted") for (const at of [0.25, 0.75]) {
      brush.beginPath(); brush.arc(at * side, at * side, 1.25 * ratio, 0, 7); brush.fill();
    }
    if (texture === "crossed") { brush.lineWidth = ratio; line(0, side / 2, side, side / 2); line(side / 2, 0, side / 2, side); }
    return ctx.createPattern(tile, "repeat");
  }

  function clipped(u, draw) {
    const { left, top, width, height } = u.bbox;
    u.ctx.save();
    u.ctx.beginPath(); u.ctx.rect(left, top - 6, width, height + 6); u.ctx.clip();
    draw(u.ctx);
    u.ctx.restore();
  }

  const X = (u, value) => u.valToPos(value, "x", true);
  const Y = (u, value) => u.valToPos(value, "y", true);

  // Where a stacked series begins: on top of those before it that are shown.
  function bases(figure, shown, number) {
    const length = figure.xs.length, under = new Array(length).fill(0);
    for (let each = 0; each < number; each++) {
      const series = figure.series[each];
      if (shown(each) && (series.kind === "area" || series.kind === "bar"))
        for (let at = 0; at < length; at++) under[at] += series.values[at] || 0;
    }
    return under;
  }

  // Places of neighbours that belong together.
  function runs(figure, series) {
    const found = [], xs = series.xs || figure.xs;
    xs.forEach((x, at) => {
      if (series.values[at] === null) return;
      const run = found.at(-1);
      if (run && run.at(-1) === at - 1 && !(x - xs[at - 1] > figure.reach)) run.push(at);
      else found.push([at]);
    });
    return found;
  }

  function area(u, figure, series, under, ratio) {
    clipped(u, (ctx) => {
      const xs = figure.xs, tops = series.values.map((value, at) => under[at] + (value || 0));
      ctx.fillStyle = series.texture ? pattern(ctx, ink(series.color), series.texture, ratio) : ink(series.color);
      ctx.beginPath();
      if (series.kind === "area") {
        for (const run of runs(figure, series)) {
          run.forEach((at, number) => ctx[number ? "lineTo" : "moveTo"](X(u, xs[at]), Y(u, tops[at])));
          for (const at of run.reverse()) ctx.lineTo(X(u, xs[at]), Y(u, under[at]));
          ctx.closePath();
        }
      } else {
        const half = Math.min(32 * ratio, Math.abs(X(u, 1) - X(u, 0)) * 0.35);
        xs.forEach((x, at) => {
          const top = Y(u, tops[at]);
          if (series.values[at]) ctx.rect(X(u, x) - half, top, 2 * half, Y(u, under[at]) - top);
        });
      }
      ctx.fill();
    });
  }

  function shape(ctx, marker, x, y, r) {
    ctx.beginPath();
    if (marker === "circle") ctx.arc(x, y, r, 0, 7);
    else if (marker === "square") ctx.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7);
    else if (marker === "triangle") { ctx.moveTo(x, y - r); ctx.lineTo(x + r, y + r * 0.9); ctx.lineTo(x - r, y + r * 0.9); }
    else { ctx.moveTo(x, y - r * 1.15); ctx.lineTo(x + r * 1.15, y); ctx.lineTo(x, y + r * 1.15); ctx.lineTo(x - r * 1.15, y); }
    ctx.closePath();
  }

  function marks(u, figure, series, ratio) {
    clipped(u, (ctx) => {
      const xs = series.xs || figure.xs, color = ink(series.color);
      const lone = new Set(runs(figure, series).filter((run) => run.length === 1).flat());
      ctx.strokeStyle = color;
      ctx.setLineDash([]);
      xs.forEach((x, at) => {
        const value = series.values[at], px = X(u, x);
        if (series.lows && series.lows[at] !== null && series.highs[at] !== null) {
          const low = Y(u, series.lows[at]), high = Y(u, series.highs[at]), cap = 3 * ratio;
          ctx.lineWidth = 1.5 * ratio; ctx.beginPath();
          ctx.moveTo(px - cap, low); ctx.lineTo(px + cap, low); ctx.moveTo(px, low); ctx.lineTo(px, high);
          ctx.moveTo(px - cap, high); ctx.lineTo(px + cap, high); ctx.stroke();
        }
        if (value === null || (!series.marker && series.kind !== "dots" && !lone.has(at))) return;
        if (!series.marker) { ctx.fillStyle = color; shape(ctx, "circle", px, Y(u, value), 1.4 * ratio); ctx.fill(); return; }
        const hollow = series.hollow && series.hollow[at];
        ctx.fillStyle = hollow ? ink("page") : color;
        shape(ctx, series.marker, px, Y(u, value), 4 * ratio);
        ctx.fill();
        if (hollow) { ctx.lineWidth = 2 * ratio; ctx.stroke(); }
      });
    });
  }

  function behind(u, figure, ratio) {
    clipped(u, (ctx) => {
      const { top, height, left, width } = u.bbox;
      ctx.fillStyle = ink("span");
      figure.spans.forEach(([start, end], number) => {
        if (number % 2 === 0) ctx.fillRect(X(u, start), top, X(u, end) - X(u, start), height);
      });
      if (figure.band) {
        const high = Y(u, figure.band[1]);
        ctx.fillStyle = ink("band");
        ctx.fillRect(left, high, width, Y(u, figure.band[0]) - high);
      }
    });
    if (figure.band) words(u, figure.band[2], u.bbox.left + 4 * ratio, Y(u, figure.band[1]) - 4 * ratio, "left", "ink", ratio);
    for (const [start, end, name] of figure.spans) {
      const from = Math.max(X(u, start), u.bbox.left), to = Math.min(X(u, end), u.bbox.left + u.bbox.width);
      if (name.length * 6.4 * ratio < to - from) words(u, name, (from + to) / 2, u.bbox.top - 4 * ratio, "center", "soft", ratio);
    }
  }

  function words(u, text, x, y, align, color, ratio) {
    u.ctx.save();
    u.ctx.font = `${11.5 * ratio}px system-ui, sans-serif`;
    u.ctx.textAlign = align;
    u.ctx.fillStyle = ink(color);
    u.ctx.lineWidth = 3 * ratio; u.ctx.strokeStyle = ink("page"); u.ctx.lineJoin = "round";
    if (color === "ink") u.ctx.strokeText(text, x, y);
    u.ctx.fillText(text, x, y);
    u.ctx.restore();
  }

  function rules(u, figure, ratio) {
    const { left, top, width, height } = u.bbox;
    figure.rules.forEach((rule, number) => {
      const at = rule.upright ? X(u, rule.at) : Y(u, rule.at);
      if (rule.upright ? at < left || at > left + width : at < top || at > top + height) return;
      u.ctx.save();
      u.ctx.strokeStyle = ink("ink"); u.ctx.lineWidth = ratio; u.ctx.setLineDash([2 * ratio, 3 * ratio]);
      u.ctx.beginPath();
      u.ctx.moveTo(rule.upright ? at : left, rule.upright ? top : at);
      u.ctx.lineTo(rule.upright ? at : left + width, rule.upright ? top + height : at);
      u.ctx.stroke();
      u.ctx.restore();
      if (!rule.upright) {
        const above = Math.max(0, ...figure.rules.filter((other) => !other.upright && other.at > rule.at).map((other) => Y(u, other.at)));
        const y = at + (at - above < 17 * ratio ? 13 : -4) * ratio;
        if (figure.follows) words(u, rule.name, left + width - 2 * ratio, y, "right", "ink", ratio);
        else words(u, rule.name, left + 4 * ratio, y, "left", "ink", ratio);
        return;
      }
      const over = at + rule.name.length * 6.4 * ratio > left + width;
      const y = top + (12 + 16 * (number % 3)) * ratio;
      words(u, rule.name, at + (over ? -5 : 5) * ratio, y, over ? "right" : "left", "ink", ratio);
    });
  }

  return { ink, area, bases, marks, behind, rules };
})();
