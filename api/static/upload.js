// Hands in a logger's file: shows what it becomes, and stores it once that was seen.
const form = document.querySelector("form.upload");
const shown = document.querySelector(".preview");
const words = form.dataset;
const store = form.elements.store;
let seen = null;

function told(message, bad = false) {
  const place = form.querySelector(".told");
  place.textContent = message;
  place.classList.toggle("bad", bad);
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

function pairs(name) {
  return [...form.querySelectorAll(`input[name='${name}']`)]
    .filter((field) => field.value.trim())
    .map((field) => `${field.dataset.parameter}=${field.value.trim()}`)
    .join(",");
}

function address(path) {
  const place = new URL(path, location.href);
  const said = { site: words.site, station: words.station, name: form.elements.file.files[0].name, units: pairs("unit"), columns: pairs("column") };
  for (const field of form.querySelectorAll(".fields [name]")) said[field.name] = field.value.trim();
  for (const [name, value] of Object.entries(said)) if (value) place.searchParams.set(name, value);
  return place;
}

async function sent(path) {
  const headers = { Accept: "application/json", "Content-Type": "application/octet-stream" };
  if (document.body.dataset.csrf) headers["X-CSRF-Token"] = document.body.dataset.csrf;
  const answer = await fetch(address(path), { method: "POST", headers, body: form.elements.file.files[0] });
  const found = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Error((words.lang === "zh" && found.detail_zh) || found.detail);
  return found;
}

const heads = [...shown.querySelectorAll("thead th")].map((head) => head.textContent);
const cell = (row, text, kind = "td") => {
  const made = row.appendChild(document.createElement(kind));
  made.textContent = text;
  if (kind === "td") made.dataset.label = heads[made.cellIndex];
  return made;
};
const clock = (stamp) => stamp.slice(0, 19).replace("T", " ");

function show(found) {
  const facts = {
    period: `${clock(found.start)} – ${clock(found.end)}`,
    "stamp-zone": found.zone,
    readings: found.readings.toLocaleString("en"),
    already: found.conflicting ? `${found.already.toLocaleString("en")} · ${filled(words.conflict, { conflicting: found.conflicting.toLocaleString("en") })}` : found.already.toLocaleString("en"),
    header: found.header.join(" | "),
  };
  for (const [name, text] of Object.entries(facts)) shown.querySelector(`[data-fact='${name}']`).textContent = text;
  shown.querySelector("tbody").replaceChildren(
    ...found.parameters.map((one) => {
      const row = document.createElement("tr");
      const sign = shown.querySelector(`[data-sign='${one.parameter}']`).textContent;
      cell(row, shown.querySelector(`[data-name='${one.parameter}']`).textContent, "th").scope = "row";
      cell(row, one.column);
      cell(row, `${one.stated ?? words.noneStated} → ${sign}`);
      cell(row, one.interval === null ? "" : `${one.interval} s`).className = "num";
      cell(row, one.count.toLocaleString("en")).className = "num";
      cell(row, one.missing.toLocaleString("en")).className = "num";
      const first = cell(row, "");
      for (const reading of one.first) {
        first.append(`${clock(reading.time)}  ${reading.value ?? "–"}`, document.createElement("br"));
      }
      return row;
    }),
  );
  shown.querySelector(".notes").replaceChildren(
    ...(words.lang === "zh" ? found.notes_zh : found.notes).map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
  document.getElementById("columns").replaceChildren(
    ...found.header.map((name) => Object.assign(document.createElement("option"), { value: name })),
  );
  shown.hidden = false;
}

form.addEventListener("input", () => {
  seen = null;
  store.disabled = true;
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  told(words.busy);
  shown.hidden = store.disabled = true;
  try {
    const state = new FormData(form);
    show(await sent("/api/v1/uploads/preview"));
    seen = state;
    store.disabled = false;
    told(words.nothing);
  } catch (error) {
    form.querySelector("details").open = true;
    told(filled(words.failed, { reason: error.message }), true);
  }
});

store.addEventListener("click", async () => {
  if (seen === null) return;
  store.disabled = true;
  told(words.storing);
  try {
    let item = await sent("/api/v1/uploads");
    while (item.state === "waiting") {
      await new Promise((done) => setTimeout(done, 1000));
      const answer = await fetch(`/api/v1/uploads/${item.id}`, { headers: { Accept: "application/json" } });
      if (answer.ok) item = await answer.json();
    }
    if (item.state === "done") told(filled(words.done, { ...item, number: item.id }));
    else told(filled(words.refused, { reason: words.lang === "zh" ? item.answer_zh : item.answer }), true);
  } catch (error) {
    told(filled(words.failed, { reason: error.message }), true);
  }
});

form.elements.preview.disabled = false; // before this, the browser itself would send the form away
