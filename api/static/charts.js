// Draws the charts of a mine: first those in view, then, while nothing else happens, the others, so that the whole page can
// be printed. Colours stay names of the style sheet, which gives them their values by day, by night and on paper. Vega
// evaluates its expressions by its interpreter (ast), so that the page needs no permission to make code out of text.
const frame = document.querySelector(".charts");
let days = 1;

function config() {
  const colour = (name) => `var(--${name})`;
  const font = getComputedStyle(document.body).fontFamily;
  const text = { labelColor: colour("quiet"), titleColor: colour("quiet"), labelFont: font, titleFont: font, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" };
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: { ...text, gridColor: colour("line"), domainColor: colour("line"), tickColor: colour("line") },
    axisX: { grid: false },
    axisY: { domain: false, ticks: false, tickCount: 5, format: "f", minExtent: 36 },
    legend: { ...text, symbolType: "stroke", symbolSize: 220, symbolStrokeWidth: 2, labelLimit: 220 },
    range: { category: ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"].map(colour) },
    rule: { color: colour("exceeds") },
    text: { color: colour("exceeds") },
    rect: { color: colour("series-2") },
    style: {
      series: { strokeWidth: 1.6 },
      note: { color: colour("quiet"), opacity: 0.12 },
      limit: { strokeWidth: 1.2, strokeDash: [5, 3] },
      "limit-halo": { fontSize: 11, font, stroke: colour("surface"), strokeWidth: 4, strokeJoin: "round" },
      "limit-label": { fontSize: 11, font },
    },
  };
}

function message(plot, text) {
  const paragraph = document.createElement("p");
  paragraph.className = "empty";
  paragraph.textContent = text;
  plot.replaceChildren(paragraph);
}

async function draw(plot) {
  const wanted = days;
  plot.setAttribute("aria-busy", "true");
  if (!plot.hasChildNodes()) message(plot, frame.dataset.loading);
  try {
    const answer = await fetch(`${plot.dataset.chart}&days=${wanted}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const spec = await answer.json();
    if (wanted !== days) return;
    plot.view?.finalize();
    if (isEmpty(spec)) {
      message(plot, frame.dataset.empty);
    } else {
      plot.replaceChildren();
      const result = await vegaEmbed(plot, spec, { actions: false, ast: true, defaultStyle: false, renderer: "svg", config: config(), tooltip: { disableDefaultStyle: true } });
      plot.view = result;
      plot.querySelector("svg").setAttribute("role", "img");
      plot.querySelector("svg").setAttribute("aria-label", spec.description);
    }
  } catch (error) {
    console.error(error);
    message(plot, frame.dataset.failed);
  } finally {
    plot.removeAttribute("aria-busy");
  }
}

// A chart of limits alone, without a point that has a value, shows nothing either.
function isEmpty(spec) {
  if (spec.datasets?.points) return !spec.datasets.points.some((point) => (point.value ?? point.mean ?? null) !== null);
  const sources = [spec.data, ...(spec.layer ?? []).map((layer) => layer.data)];
  return !sources.some((data) => data?.values?.length) && !Object.values(spec.datasets ?? {}).some((rows) => rows.length);
}

const seen = new Set();
const plots = [...document.querySelectorAll("[data-chart]")];

function show(plot) {
  if (seen.has(plot)) return Promise.resolve();
  seen.add(plot);
  return draw(plot);
}

async function showRest() {
  for (const plot of plots) {
    if (seen.has(plot)) continue;
    await show(plot);
    await new Promise((done) => setTimeout(done, 50));
  }
}

const watcher = new IntersectionObserver((entries) => {
  entries.filter((entry) => entry.isIntersecting).forEach((entry) => show(entry.target));
}, { rootMargin: "200px" });

function redraw() {
  seen.forEach(draw);
}

if (frame) {
  plots.forEach((plot) => watcher.observe(plot));
  addEventListener("load", () => setTimeout(showRest, 300));
  addEventListener("beforeprint", () => plots.forEach(show));
  for (const button of frame.parentElement.querySelectorAll(".switch button")) {
    button.addEventListener("click", () => {
      days = Number(button.dataset.days);
      frame.parentElement.querySelectorAll(".switch button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      redraw();
    });
  }
  setInterval(redraw, 5 * 60_000);
}

const spans = document.querySelector(".spans");
if (spans) {
  const buttons = [...spans.querySelectorAll(".switch button")];
  const choose = (span) => {
    spans.dataset.show = span;
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.span === span)));
  };
  buttons.forEach((button) => button.addEventListener("click", () => choose(button.dataset.span)));
  choose("7d");
}
