// Keeps a page current: values from the live stream, everything else by fetching the page again and swapping its parts.
const words = document.body.dataset;
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

function ago(time) {
  const past = Date.now() - time;
  if (past < -MINUTE) return words.future;
  const scale = [[1000, 2 * MINUTE, words.seconds], [MINUTE, 2 * HOUR, words.minutes], [HOUR, 2 * DAY, words.hours], [DAY, Infinity, words.days]];
  const [length, , text] = scale.find(([, most]) => past < most);
  return text.replace("{n}", Math.max(0, Math.floor(past / length)));
}

function tick() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(element.dateTime));
    if (element.textContent !== text) element.textContent = text;
  }
}

function number(value, decimals) {
  if (value === null) return "—";
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

function show(item) {
  const key = CSS.escape(item.channel);
  for (const element of document.querySelectorAll(`[data-channel="${key}"]`)) {
    const states = element.dataset.states;
    const text = states && item.value !== null ? states.split("|")[Number(item.value !== 0)] : number(item.value, Number(element.dataset.decimals));
    if (element.textContent === text) continue;
    element.textContent = text;
    element.classList.remove("changed");
    void element.offsetWidth; // restarts the highlight
    element.classList.add("changed");
  }
  for (const element of document.querySelectorAll(`[data-time="${key}"] time`)) {
    if (item.time) element.dateTime = item.time;
  }
  const card = document.getElementById(`part-${item.channel.split("/")[0]}`);
  const newest = card && card.querySelector("time[data-ago]");
  if (newest && Date.parse(item.last_time) > Date.parse(newest.dateTime)) newest.dateTime = item.last_time;
}

let asked = 0;
async function refresh() {
  const mine = ++asked;
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer || !answer.ok || mine !== asked) return;
  if (answer.redirected) return location.reload(); // signed out meanwhile
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const next = fresh.getElementById(part.id);
    if (!next || part.contains(document.activeElement) || part.innerHTML === next.innerHTML) continue;
    const announce = "announce" in part.dataset && part.querySelector(".count")?.textContent !== next.querySelector(".count")?.textContent;
    const open = [...part.querySelectorAll("details[open]")].map((details) => details.id);
    part.replaceChildren(...next.childNodes);
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    if (announce) {
      document.getElementById("announcer").textContent = words.announcement.replace("{text}", part.querySelector(".count").textContent);
    }
  }
  const clock = fresh.querySelector(".clock");
  document.querySelector(".clock").textContent = clock.textContent;
  if (document.getElementById("live").dataset.state === "on") connection("on");
  tick();
}

let waiting;
function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 400);
}

let losing;
function connection(state) {
  clearTimeout(losing);
  const lost = () => {
    document.getElementById("lost").hidden = state === "on";
    document.getElementById("live").dataset.state = state;
    // A page that is connected to a server without a collector is not live.
    const idle = state === "on" && document.querySelector("#part-service .banner");
    document.getElementById("live").dataset.idle = String(Boolean(idle));
    document.getElementById("live-text").textContent = idle ? words.idle : words[state];
  };
  if (state === "on") lost();
  else losing = setTimeout(lost, 3000);
}

if (words.events) {
  let interrupted = false;
  let source;
  const listen = () => {
    source = new EventSource(words.events);
    source.onopen = () => {
      connection("on");
      if (interrupted) refresh();
      interrupted = false;
    };
    source.onerror = () => {
      if (!interrupted) connection("off");
      interrupted = true;
      // A browser gives up for good after an error answer; go on trying.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    };
    source.addEventListener("latest", (event) => {
      JSON.parse(event.data).items.forEach(show);
      tick();
    });
    source.addEventListener("exceedance", refreshSoon);
  };
  listen();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  setInterval(refresh, 60_000);
  setInterval(tick, 1000);
  tick();
}
