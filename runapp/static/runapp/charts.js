// Draws the tables marked with data-chart: the table is the truth, the drawing is made from it.
//
//   <div class="plot" id="ID" data-kind="stacks|points|lines"></div>
//   <table data-chart>: the first column is x; a heading with data-plot="ID" and data-colour, a custom
//   property of the style sheet, makes its column a series. A cell's number is its data-value or its text.
"use strict";
(() => {
  const HEIGHT = 180;
  const drawn = new Map();

  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const numberOf = (cell) => {
    const number = Number.parseFloat(cell.dataset.value ?? cell.textContent);
    return Number.isNaN(number) ? null : number / Number(cell.dataset.divide ?? 1);
  };

  const read = (table, headings) => {
    const rows = [...table.tBodies[0].rows];
    const times = rows.map((row) => row.cells[0].querySelector("time"));
    const isTime = table.tHead.rows[0].cells[0].dataset.x === "time";
    return {
      isTime,
      name: table.tHead.rows[0].cells[0].textContent.trim(),
      texts: rows.map((row) => row.cells[0].textContent.trim()),
      x: rows.map((_, i) => (isTime ? Date.parse(times[i].dateTime) / 1000 : i)),
      series: headings.map((heading) => ({
        label: heading.textContent,
        colour: colour(heading.dataset.colour),
        numbers: rows.map((row) => numberOf(row.cells[heading.cellIndex])),
        texts: rows.map((row) => row.cells[heading.cellIndex].textContent.trim() || "–"),
      })),
    };
  };

  // On top of one another: each series reaches from zero to its sum with those below it, the highest drawn first.
  const stacked = (series) => {
    const sums = series[0].numbers.map(() => 0);
    return series
      .map((one) => ({ ...one, numbers: one.numbers.map((number, i) => (sums[i] += number ?? 0)) }))
      .reverse();
  };

  const drawnSeries = (kind, one) => {
    const shared = { label: one.label, stroke: one.colour, value: (_, __, ___, i) => (i == null ? "–" : one.texts[i]) };
    if (kind === "stacks")
      return { ...shared, fill: one.colour, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.75, 28] }) };
    const points = { show: true, size: 5, fill: one.colour, stroke: one.colour };
    return kind === "points" ? { ...shared, paths: () => null, points } : { ...shared, width: 2, points };
  };

  const options = (kind, { isTime, name, texts, x, series }, width) => {
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const margin = isTime ? (x[1] - x[0]) * 0.6 : 0.6;
    const label = (at) => (Number.isInteger(at) ? (texts[at] ?? "") : "");
    return {
      width,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: isTime, range: () => [x[0] - margin, x[x.length - 1] + margin] },
        y: { range: (_, __, highest) => [0, highest > 0 ? highest * 1.1 : 1] },
      },
      axes: [
        { ...axis, size: 26, gap: 6, grid: { show: false }, ...(isTime ? { values: "{HH}:{mm}" } : { incrs: [1, 2, 5, 10, 20, 50, 100], values: (_, splits) => splits.map(label) }) },
        { ...axis, size: 52 },
      ],
      series: [{ label: name, value: (_, __, ___, i) => (i == null ? "–" : texts[i]) }, ...series.map((one) => drawnSeries(kind, one))],
    };
  };

  const draw = (place, table, headings) => {
    const found = read(table, headings);
    const kind = place.dataset.kind;
    const content = JSON.stringify([found.texts, found.series]);
    const known = drawn.get(place.id);
    if (known?.content === content && place.contains(known.plot.root)) return;
    known?.plot.destroy();
    if (kind === "stacks") found.series = stacked(found.series);
    const plot = new uPlot(options(kind, found, place.clientWidth), [found.x, ...found.series.map((one) => one.numbers)], place);
    plot.root.setAttribute("aria-hidden", "true"); // the table says it all
    drawn.set(place.id, { plot, content });
  };

  const drawAll = () => {
    document.querySelectorAll("table[data-chart]").forEach((table) => {
      if (table.tBodies[0].rows.length < 2) return;
      const headings = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.plot);
      new Set(headings.map((cell) => cell.dataset.plot)).forEach((id) => {
        const place = document.getElementById(id);
        if (place) draw(place, table, headings.filter((cell) => cell.dataset.plot === id));
      });
    });
  };

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  document.addEventListener("theme-changed", () => {
    drawn.forEach(({ plot }) => plot.destroy());
    drawn.clear();
    drawAll();
  });
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawn.forEach(({ plot }, id) => plot.setSize({ width: document.getElementById(id).clientWidth, height: HEIGHT })), 100);
  });
})();
