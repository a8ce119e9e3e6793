// Curves that can be moved and zoomed: every change of the period fetches its figures anew, in as many points as can be seen.
// All curves of a page show the same period; the table beside each follows it.
const panel = document.querySelector(".curves");
const MINUTES = 60_000;
const whole = [wall(panel.dataset.from), wall(panel.dataset.to)];
let shown = whole;
let asked = 0;

// Wall-clock times of the mine are carried as if they were UTC, so that no clock of the reader's comes in.
function wall(text) { return Date.parse(`${text}Z`); }
function text(time) { return new Date(time).toISOString().slice(0, 16); }

function config() {
  const colour = (name) => `var(--${name})`;
  const font = getComputedStyle(document.body).fontFamily;
  const words = { labelColor: colour("quiet"), titleColor: colour("quiet"), labelFont: font, titleFont: font, labelFontSize: 11 };
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: { ...words, gridColor: colour("line"), domainColor: colour("line"), tickColor: colour("line") },
    axisX: { grid: false },
    axisY: { domain: false, ticks: false, tickCount: 5, format: "f", minExtent: 36 },
    line: { color: colour("series-1") },
    area: { color: colour("series-1") },
    circle: { color: colour("series-1"), opacity: 1 },
    rule: { color: colour("exceeds") },
    text: { color: colour("exceeds") },
    style: {
      series: { strokeWidth: 1.4 },
      extent: { opacity: 0.18 },
      excluded: { color: colour("quiet"), opacity: 0.14 },
      flagged: { color: colour("unsure"), opacity: 0.28 },
      judged: { color: colour("ink"), strokeWidth: 2.6 },
      limit: { strokeWidth: 1.2, strokeDash: [5, 3] },
      "limit-halo": { fontSize: 11, font, stroke: colour("surface"), strokeWidth: 4, strokeJoin: "round" },
      "limit-label": { fontSize: 11, font },
    },
  };
}

function say(plot, message) {
  const paragraph = document.createElement("p");
  paragraph.className = "empty";
  paragraph.textContent = message;
  plot.view?.finalize();
  plot.view = undefined;
  plot.replaceChildren(paragraph);
}

function fill(body, rows) {
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((cell, place) => {
      const element = document.createElement(place ? "td" : "th");
      if (!place) element.scope = "row";
      element.className = place === 5 ? "quiet" : place ? "num" : "";
      element.textContent = cell;
      row.append(element);
    });
    return row;
  }));
  if (rows.length) return;
  const cell = document.createElement("td");
  cell.colSpan = 6;
  cell.className = "empty";
  cell.textContent = body.dataset.none;
  const row = document.createElement("tr");
  row.append(cell);
  body.append(row);
}

async function draw(plot) {
  const [from, to] = shown;
  const mine = asked;
  plot.setAttribute("aria-busy", "true");
  if (!plot.hasChildNodes()) say(plot, panel.dataset.loading);
  try {
    const query = new URLSearchParams({ from: text(from), to: text(to), lang: panel.dataset.lang });
    if (panel.dataset.limit) query.set("limit", panel.dataset.limit);
    const answer = await fetch(`${panel.dataset.charts}${plot.dataset.parameter}?${query}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const { spec, rows } = await answer.json();
    if (mine !== asked) return;
    const body = document.querySelector(`[data-rows="${plot.dataset.parameter}"]`);
    if (body) fill(body, rows);
    if (!spec.datasets.points.length && !spec.datasets.flagged.length) return say(plot, panel.dataset.empty);
    const box = document.createElement("div");
    box.className = "plot-box";
    const before = plot.view;
    plot.replaceChildren(box);
    before?.finalize();
    spec.layer = spec.layer.filter((layer) => spec.datasets[layer.data?.name]?.length !== 0); // Vega warns of what it cannot scale
    const { view } = await vegaEmbed(box, spec, { actions: false, ast: true, defaultStyle: false, renderer: "svg", config: config(), tooltip: { disableDefaultStyle: true } });
    plot.view = view;
    // The drawing as a whole has a description; its hundreds of parts are told by the table.
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", spec.description);
    plot.querySelector("svg").setAttribute("aria-hidden", "true");
    let waiting;
    view.addSignalListener("zoom", (_, chosen) => {
      clearTimeout(waiting);
      const span = chosen.time;
      if (span) waiting = setTimeout(() => show(...span.map((time) => time - new Date(+time).getTimezoneOffset() * MINUTES)), 350);
    });
  } catch (error) {
    console.error(error);
    say(plot, panel.dataset.failed);
  } finally {
    plot.removeAttribute("aria-busy");
  }
}

function show(from, to) {
  const middle = (from + to) / 2;
  const half = Math.min(Math.max(to - from, 10 * MINUTES), 366 * 1440 * MINUTES) / 2;
  shown = [middle - half, middle + half].map((time) => Math.round(time / MINUTES) * MINUTES);
  asked += 1;
  const words = panel.querySelector(".shown");
  if (words) words.textContent = shown.map((time) => text(time).replace("T", " ")).join(" – ");
  return Promise.all([...panel.querySelectorAll("[data-parameter]")].map(draw));
}

panel.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const [from, to] = shown;
  const span = to - from;
  if (button?.dataset.move) show(from + span * button.dataset.move, to + span * button.dataset.move);
  else if (button?.dataset.zoom) show(from + span * (1 - button.dataset.zoom) / 2, to - span * (1 - button.dataset.zoom) / 2);
  else if (button && "whole" in button.dataset) show(...whole);
});

// What is in sight is drawn first, the rest, which printing needs too, behind it.
const plots = [...panel.querySelectorAll("[data-parameter]")];
const later = plots.filter((plot) => plot.getBoundingClientRect().top > innerHeight);
Promise.all(plots.filter((plot) => !later.includes(plot)).map(draw)).then(() => later.forEach(draw));
