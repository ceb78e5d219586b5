// Draws the tables marked with data-chart: the table is the truth, the drawing is made from it.
//
//   <figure><div class="plot" id="..."></div>
//   <details><summary>As a table</summary><table data-chart="stacks|lines|points" data-plot="id of the div">
//
// The first column is x (data-x="time": a <time datetime>), each further one a series whose heading names
// its colour by data-colour, a custom property of the style sheet.
"use strict";
(() => {
  const drawn = new Map();
  const HEIGHT = 190;

  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const value = (cell) => {
    const time = cell.querySelector("time");
    if (time) return Date.parse(time.dateTime) / 1000;
    const text = cell.dataset.value ?? cell.textContent;
    const number = Number.parseFloat(text);
    return Number.isNaN(number) ? null : number;
  };

  const read = (table) => {
    const headings = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const columns = headings.map((_, i) => rows.map((row) => value(row.cells[i])));
    return { headings, columns };
  };

  // Series on top of one another: each drawn from zero to the sum of itself and those below, highest first.
  const stacked = (columns) => {
    const sums = columns[0].map(() => 0);
    const tops = columns.slice(1).map((column) =>
      column.map((number, i) => {
        sums[i] += number ?? 0;
        return sums[i];
      }),
    );
    return [columns[0], ...tops.reverse()];
  };

  const seriesOf = (kind, heading, own) => {
    const stroke = colour(heading.dataset.colour);
    const shared = { label: heading.textContent, stroke, value: (_, __, ___, i) => (i == null ? "–" : own(i)) };
    if (kind === "stacks")
      return { ...shared, fill: stroke, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 40], align: 1 }) };
    if (kind === "points") return { ...shared, paths: () => null, points: { show: true, size: 6, fill: stroke } };
    return { ...shared, width: 2, spanGaps: false, points: { show: true, size: 5, fill: stroke } };
  };

  const text = (table, i, column) => table.tBodies[0].rows[i]?.cells[column]?.textContent.trim() || "–";

  const options = (table, headings, kind, width) => {
    const isTime = headings[0].dataset.x === "time";
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const order = headings.slice(1).map((heading, i) => ({ heading, column: i + 1 }));
    if (kind === "stacks") order.reverse();
    return {
      width,
      height: HEIGHT,
      ms: 1e-3,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: isTime }, y: { range: (_, __, highest) => [0, Math.max(highest * 1.08, table.dataset.least ? Number(table.dataset.least) : 1e-6)] } },
      axes: [
        { ...axis, grid: { show: false }, ...(isTime ? {} : { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }) },
        { ...axis, size: 55, label: undefined },
      ],
      series: [
        { label: headings[0].textContent, value: (_, __, ___, i) => (i == null ? "–" : text(table, i, 0)) },
        ...order.map(({ heading, column }) => seriesOf(kind, heading, (i) => text(table, i, column))),
      ],
    };
  };

  const draw = (table) => {
    const place = document.getElementById(table.dataset.plot);
    if (!place || !table.tBodies[0].rows.length) return;
    const { headings, columns } = read(table);
    const kind = table.dataset.chart;
    const data = kind === "stacks" ? stacked(columns) : columns;
    const content = JSON.stringify(columns);
    const known = drawn.get(place.id);
    if (known && known.content === content && place.contains(known.plot.root)) return;
    if (known) known.plot.destroy();
    place.replaceChildren();
    place.setAttribute("aria-hidden", "true");
    place.style.display = "block";
    const plot = new uPlot(options(table, headings, kind, place.clientWidth), data, place);
    place.style.display = "";
    drawn.set(place.id, { plot, content });
  };

  const drawAll = () => document.querySelectorAll("table[data-chart]").forEach(draw);
  const anew = () => {
    drawn.forEach(({ plot }) => plot.destroy());
    drawn.clear();
    drawAll();
  };

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  document.addEventListener("theme-changed", anew);
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawn.forEach(({ plot }) => plot.setSize({ width: plot.root.parentElement.clientWidth, height: HEIGHT })), 100);
  });
})();
