// Sends what people say to the API and shows the page's parts anew. Runs before the page is shown: what somebody sends by a form
// that is not heeded yet is lost.
function told(form, message, bad = false) {
  const place = form.closest(".forms").querySelector(".told");
  place.textContent = message;
  place.classList.toggle("bad", bad);
}

function request(form) {
  const headers = { Accept: "application/json" };
  if (document.body.dataset.csrf) headers["X-CSRF-Token"] = document.body.dataset.csrf;
  if ("file" in form.dataset) {
    const file = form.elements.file.files[0];
    const place = new URL(form.dataset.post, location.href);
    place.searchParams.set("name", file.name);
    return [place, { method: "POST", headers: { ...headers, "Content-Type": "application/octet-stream" }, body: file }];
  }
  let body = { kind: form.dataset.kind, text: form.elements.text?.value ?? "" };
  if (form.dataset.mark) {
    const { place, ...rest } = Object.fromEntries(new FormData(form));
    const [station, parameter] = place.split("/");
    body = { ...rest, station, ...(parameter && { parameter }) };
    const offset = form.dataset.offset.replace(/(\d\d)$/, ":$1");
    Object.assign(body, { site: form.dataset.mark, start: `${body.start}:00${offset}`, end: `${body.end}:00${offset}` });
  }
  if ("json" in form.dataset) {
    const { first, last, ...rest } = Object.fromEntries(new FormData(form));
    body = first ? { ...rest, period: `${first}..${last}` } : rest;
  }
  return [form.dataset.post, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) }];
}

async function fetched() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  return answer.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

// Who signed in again in another tab goes on in this one: its token is that of the session that ended.
async function sent(form) {
  const answer = await fetch(...request(form));
  if (answer.status !== 403) return answer;
  const token = (await fetched())?.body.dataset.csrf;
  if (!token || token === document.body.dataset.csrf) return answer;
  document.body.dataset.csrf = token;
  return fetch(...request(form));
}

async function renew() {
  const fresh = await fetched();
  if (!fresh) return;
  for (const part of document.querySelectorAll("[data-part]")) {
    const next = fresh.getElementById(part.id);
    if (next) part.replaceChildren(...next.childNodes);
  }
  const acknowledged = document.querySelector('[data-kind="acknowledged"]');
  if (acknowledged && !fresh.querySelector('[data-kind="acknowledged"]')) acknowledged.remove();
}

// What is longer than a field takes is cut by the browser without a word.
document.addEventListener("input", (event) => {
  const { form, value, maxLength } = event.target;
  const words = form?.closest("form[data-post]")?.closest(".forms").dataset;
  if (words && maxLength > 0) told(form, value.length < maxLength ? "" : words.full.replace("{n}", maxLength), true);
});

// Of the kinds of mark only those are offered that say something of the chosen place.
function offerKinds(form) {
  const { place, kind } = form.elements;
  const kinds = place.selectedOptions[0].dataset.kinds.split(" ");
  for (const option of kind.options) option.hidden = option.disabled = !kinds.includes(option.value);
  if (kind.selectedOptions[0]?.disabled ?? true) kind.value = kinds[0];
}

const offerAll = () => document.querySelectorAll("form[data-mark]").forEach(offerKinds);
document.addEventListener("DOMContentLoaded", offerAll);
document.addEventListener("reset", () => setTimeout(offerAll));
document.addEventListener("change", (event) => {
  if (event.target.name === "place") offerAll();
});

// On the document: a form may stand in a part that is shown anew.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-post]");
  if (!form) return;
  event.preventDefault();
  const words = form.closest(".forms").dataset;
  const button = form.querySelector("button");
  button.disabled = true;
  told(form, words.busy);
  try {
    const answer = await sent(form);
    if (answer.status === 401) {
      told(form, words.expired, true);
      return;
    }
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
      const chinese = document.documentElement.lang === "zh-CN" && problem.detail_zh;
      told(form, words.failed.replace("{reason}", chinese || problem.detail), true);
      if (answer.status === 409) await renew(); // somebody else was first: who, and when
      return;
    }
    told(form, words.saved);
    form.reset();
    await renew();
    if (form.dataset.mark) setTimeout(renew, 4000);
  } catch (error) {
    told(form, words.failed.replace("{reason}", String(error.message)), true);
  } finally {
    button.disabled = false;
  }
});

// What is under way is shown as it goes on.
setInterval(() => {
  if (document.querySelector("[data-renew]") && !document.hidden) renew().catch(() => {});
}, 2000);
