// The explorer: what is selected among the runs, and the views that show it. Vega draws; this places and counts.
(() => {
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const N = D.ids.length;
const MOST_LINES = 150, MOST_ROWS = 40, MOST_VALUES = 100, BINS = 12, DECADES = 16;
const $ = id => document.getElementById(id);
const make = (tag, text = "", attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

// --- numbers and words --------------------------------------------------------------------------

const count = n => Math.round(n).toLocaleString("en-US");
const plural = (n, noun) => `${count(n)} ${noun}${Math.round(n) === 1 ? "" : "s"}`;
function number(x) {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  if (Number.isInteger(x) && size < 1e6) return count(x);
  if (size >= 1e-4 && size < 1000) return String(+x.toPrecision(3));
  if (size >= 1000 && size < 1e6) return count(x);
  return x.toExponential(1).replace(".0e", "e").replace("e+", "e");
}
function percent(share) {
  if (share === 0 || share === 1) return `${share * 100}%`;
  const value = 100 * share;
  if (value < 0.1) return "<0.1%";
  if (value > 99.9) return ">99.9%";
  const scale = value < 1 || value > 99 ? 10 : 1, down = Math.floor(value * scale), rest = value * scale - down;
  // A half goes to the even number, as in the report.
  return `${(rest > 0.5 || (rest === 0.5 && down % 2) ? down + 1 : down) / scale}%`;
}
// Wilson's interval at 95%.
function interval(k, n) {
  const z = 1.959964, center = (k + z * z / 2) / (n + z * z);
  const half = z * Math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z);
  return [k === 0 ? 0 : center - half, k === n ? 1 : center + half];
}

// --- places: every scale is linear in what `place` gives --------------------------------------------

const finite = values => values.filter(value => value !== null && Number.isFinite(value));
const ends = values => values.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
// Two sequences that fill the square evenly: the same jitter at every visit.
const jitter = (i, step) => ((i * step) % 1) - 0.5;

function ticks(low, high, log) {
  if (log && high - low >= 1) {
    const stride = Math.max(1, Math.ceil((high - low) / 7)), found = [];
    for (let k = Math.ceil(low / stride) * stride; k <= high; k += stride) found.push([k, number(+`1e${k}`)]);
    if (found.length > 1) return found;
  }
  const [a, b] = log ? [10 ** low, 10 ** high] : [low, high];
  const raw = (b - a) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find(m => m * power >= raw) * power, found = [];
  for (let k = Math.ceil(a / step); k * step <= b * (1 + 1e-12); k++) {
    const value = +(k * step).toPrecision(12);
    if (!log || value > 0) found.push([log ? Math.log10(value) : value, number(value)]);
  }
  return found;
}

// A scale for numbers, some perhaps 0 or null: those have bands of their own below and above.
// Of a scale of more than so many decades the values below them are at its floor, with the zeros.
function numberScale(values, {log = false, absent = "", least = "", share = false, high = null} = {}) {
  const known = finite(values);
  if (!known.length && absent) return {place: () => 0, low: -1, high: 1, marks: [[0, absent]], gap: 1};
  let [low, top] = ends(log ? known.filter(value => value > 0).map(Math.log10) : known);
  if (high !== null && log && top > Math.log10(high)) top = Math.log10(high);
  const deep = log && low < top - DECADES;
  if (deep) low = Math.floor(top - DECADES);
  const zeros = log && (deep || known.some(value => value <= 0));
  if (!(low <= top)) [low, top] = log ? [-1, 0] : [0, 1];
  if (share && !log) [low, top] = [0, 1];
  if (low === top) [low, top] = [low - 0.5, top + 0.5];
  const gap = 0.1 * (top - low), marks = ticks(low, top, log);
  if (least && low <= -1) marks.splice(0, marks.length, [-1, least], ...marks.filter(mark => mark[0] > -1));
  const floor = low - gap, roof = top + gap;
  if (zeros) marks.unshift([floor, deep ? `<${number(10 ** low)}` : "0"]);
  const missing = absent && values.some(value => value === null || !Number.isFinite(value));
  if (missing) marks.push([roof, absent]);
  return {
    place: value => value === null || !Number.isFinite(value) ? roof
      : log ? (value > 0 && Math.log10(value) >= low ? Math.log10(value) : floor) : value,
    low: (zeros ? floor : low) - 0.4 * gap, high: (missing ? roof : top) + 0.4 * gap, marks, gap,
  };
}

// A field of runs as places: names one apart, numbers where they are; a little jitter where many runs meet.
function field(name, step) {
  const axis = D.axes.find(axis => axis.name === name);
  if (!axis) {
    const measure = D.measures.find(measure => measure.name === name);
    const scale = numberScale(measure.values, measure);
    const at = measure.values.map((value, i) =>
      scale.place(value) + (value === null ? 0.5 * scale.gap * jitter(i, step) : 0));
    return {...scale, at, title: measure.title, text: i => measure.values[i] === null ? measure.absent : number(measure.values[i])};
  }
  const text = i => axis.labels[axis.codes[i]];
  if (!axis.values) {
    const last = axis.labels.length - 1;
    return {at: axis.codes.map((code, i) => code + 0.7 * jitter(i, step)), low: -0.6, high: last + 0.6,
      marks: axis.labels.map((label, code) => [code, label]), title: axis.title, text};
  }
  const scale = numberScale(axis.values, {log: axis.log, absent: "not set"});
  const places = axis.values.map(scale.place), sorted = [...new Set(places)].sort((a, b) => a - b);
  let room = Infinity;
  sorted.forEach((place, k) => { if (k) room = Math.min(room, place - sorted[k - 1]); });
  const few = sorted.length <= 40 && room > (scale.high - scale.low) / 400;
  const spread = few ? Math.min(0.55 * room, 0.18 * (scale.high - scale.low)) : 0;
  if (sorted.length <= 12) scale.marks = axis.values.map((value, code) => [places[code], axis.labels[code]]);
  return {...scale, low: scale.low - spread / 2, high: scale.high + spread / 2, title: axis.title, text,
    at: axis.codes.map((code, i) => places[code] + spread * jitter(i, step))};
}

// --- state --------------------------------------------------------------------------------------

const detailOf = new Map(D.details.map(detail => [detail.row, detail]));
const ofGroup = new Map();
for (const detail of D.details) if (!ofGroup.has(D.group[detail.row])) ofGroup.set(D.group[detail.row], detail);
const weights = D.outcomes.map((_, k) => D.counts[k] / Math.max(1, D.outcome.filter(o => o === k).length));
const sampled = N < D.total;
const weight = i => sampled ? weights[D.outcome[i]] : 1;
const axes = D.axes.filter(axis => axis.filter);
const state = {x: null, y: null, by: "outcome", brush: null, filters: new Map(), run: null, kept: null, step: 0,
  statistic: D.statistics.length ? D.statistics[0].name : null, order: "low", selected: []};
const views = {};
let look, theme;

const said = (some, i) => some.map(axis => axis.said[axis.codes[i]]).join(", ");
const seedsOf = i => said(D.axes.filter(axis => !axis.filter), i);
const nameOf = i => said(D.axes, i) || "the one setting";
const groupName = i => state.by === "outcome" ? D.outcomes[D.outcome[i]] : D.fates[D.fate[i]];
const measure = name => D.measures.find(found => found.name === name);

// Whether a run has the values chosen, of all axes but one.
function narrowed(i, but = null) {
  for (const [axis, codes] of state.filters) if (axis !== but && !codes.has(axis.codes[i])) return false;
  return true;
}

function passes(i, but = null) {
  if (!narrowed(i, but)) return false;
  const b = state.brush;
  return !b || (state.x.at[i] >= b.x[0] && state.x.at[i] <= b.x[1] && state.y.at[i] >= b.y[0] && state.y.at[i] <= b.y[1]);
}

// --- drawing ------------------------------------------------------------------------------------

function ranges() {
  const names = state.by === "outcome" ? D.outcomes : D.fates;
  const there = new Set(state.by === "outcome" ? D.outcome : D.fate);
  const shown = names.filter((_, k) => there.has(k));
  const places = shown.map(name => (state.by === "outcome" ? look.outcomes : look.fates)[name] ?? look.other);
  return {domain: shown, color: places.map(place => look.palette[place]),
    shape: shown.map(name => look.shapes[names.indexOf(name) % look.shapes.length])};
}

function signals(view, scales) {
  for (const [channel, scale] of Object.entries(scales)) {
    const labels = {};
    for (const [at, label] of scale.marks) labels[at] = label;
    view.signal(`${channel}Min`, scale.low).signal(`${channel}Max`, scale.high)
      .signal(`${channel}Ticks`, scale.marks.map(mark => mark[0])).signal(`${channel}Labels`, labels);
  }
  view.resize();  // new labels need new room
}

async function embed(name) {
  const element = $(`view-${name}`);
  if (!element) return null;
  if (views[name]) views[name].finalize();
  const spec = structuredClone(D.views[name]), group = ranges();
  spec.height = innerWidth < 700 ? 300 : spec.height;
  const {encoding, mark} = spec.layer[0];
  for (const channel of ["color", "shape"]) {
    if (!encoding[channel]) continue;
    encoding[channel].scale = {domain: group.domain, range: group[channel]};
    if (encoding[channel].legend) encoding[channel].legend.columns = Math.max(2, Math.floor(element.clientWidth / 130));
  }
  if (name === "runs") mark.size = N < 100 ? 100 : N < 1000 ? 55 : N < 8000 ? 34 : 16;
  const config = structuredClone(look.config);
  config.axis.labelLimit = innerWidth < 700 ? 90 : 150;
  const options = {mode: "vega-lite", actions: false, renderer: "canvas", config, tooltip: {theme}};
  const result = await vegaEmbed(element, spec, options);
  views[name] = result;
  result.view.signal("ink", look.ink);
  return result.view;
}

async function drawRuns() {
  const view = await embed("runs");
  signals(view, {x: state.x, y: state.y});
  view.addSignalListener("brush", (_, value) => {
    const brush = value && value.x && value.y ? {x: [...value.x].sort((a, b) => a - b), y: [...value.y].sort((a, b) => a - b)} : null;
    state.brush = brush;
    changed();
  });
  // The brush lies over the points, so a click looks for the nearest itself.
  view.addEventListener("click", event => {
    const i = nearest(view, event);
    if (i !== null) show(i);
  });
  await putRuns();
}

async function putRuns() {
  const rows = [];
  for (let i = 0; i < N; i++) {
    if (narrowed(i)) rows.push({i, x: state.x.at[i], y: state.y.at[i], group: groupName(i), setting: nameOf(i),
      xText: `${state.x.title}: ${state.x.text(i)}`, yText: `${state.y.title}: ${state.y.text(i)}`});
  }
  await views.runs.view.data("runs", rows).runAsync();
  await putRings();
}

async function putRings() {
  const chosen = [["this", state.run], ["kept", state.kept]].filter(([, i]) => i !== null)
    .map(([which, i]) => ({which, x: state.x.at[i], y: state.y.at[i]}));
  await views.runs.view.data("chosen", chosen).runAsync();
}

function nearest(view, event) {
  const box = $("view-runs").querySelector("canvas").getBoundingClientRect(), [left, top] = view.origin();
  const [px, py] = [event.clientX - box.left - left, event.clientY - box.top - top];
  const [sx, sy] = [view.scale("x"), view.scale("y")];
  let best = null, least = event.pointerType === "touch" ? 24 : 12;
  for (const {i, x, y} of view.data("runs")) {
    const away = Math.hypot(sx(x) - px, sy(y) - py);
    if (away < least) [best, least] = [i, away];
  }
  return best;
}

// Lines of the details within the selection, and the chosen run in front; `trace` gives a run's points.
async function putLines(name, trace, scales, goal = null) {
  const view = views[name] && views[name].view;
  if (!view) return;
  const behind = linesShown().filter(detail => detail.row !== state.run);
  const drawn = (points, more) => points.filter(p => p[1] !== null)
    .map(p => ({x: scales.x.place(p[0]), y: scales.y.place(p[1]), ...more}));
  const lines = behind.flatMap(detail => drawn(trace(detail), {run: detail.row, group: groupName(detail.row)}));
  const chosen = [], points = [];
  for (const [which, row] of [["kept", state.kept], ["this", state.run]]) {
    const detail = row === null ? null : standIn(row);
    if (!detail) continue;
    chosen.push(...drawn(trace(detail), {which}));
    const dots = trace(detail, true).filter(p => p[1] !== null);
    if (which === "this") points.push(...dots.map(p => ({x: scales.x.place(p[0]), y: scales.y.place(p[1]),
      xText: number(p[0]), yText: number(p[1])})));
  }
  signals(view, scales);
  const goals = goal === null ? [] : [{y: scales.y.place(goal)}];
  await view.data("lines", lines).data("chosen", chosen).data("points", points).data("goals", goals).runAsync();
}

const selectedDetails = () => D.details.filter(detail => state.inside && state.inside[detail.row]);
function linesShown() {
  const all = selectedDetails();
  // Evenly over the campaign, so that no axis is cut short.
  return all.length <= MOST_LINES ? all : all.filter((_, k) => (k * MOST_LINES) % all.length < MOST_LINES);
}
const standIn = row => detailOf.get(row) || ofGroup.get(D.group[row]) || null;
const inFront = () => [state.run, state.kept].filter(row => row !== null).map(standIn).filter(Boolean);

async function putCurves() {
  const all = [...linesShown(), ...inFront()].filter(detail => detail.curve);
  const trace = (detail, dots) => {
    const {step, batch_loss, train_loss} = detail.curve || {step: [], batch_loss: [], train_loss: []};
    return step.map((s, k) => [s, dots ? train_loss[k] : batch_loss[k] ?? train_loss[k]]);
  };
  const losses = all.flatMap(detail => trace(detail).concat(trace(detail, true)).map(p => p[1]));
  const chosen = state.run === null ? null : standIn(state.run);
  const goal = chosen ? chosen.target : null;
  // A loss a thousand times the first is a diverged run's: what lies above tells nothing more.
  const first = ends(finite(all.map(detail => detail.start)))[1];
  const scales = {x: numberScale(all.flatMap(detail => detail.curve.step)),
    y: numberScale([...finite(losses), ...finite([goal])], {log: true, high: first > 0 ? 1000 * first : null})};
  await putLines("curves", trace, scales, goal);
}

const checkpoints = () => {
  const chosen = state.run === null ? null : standIn(state.run);
  return chosen && chosen.profile ? chosen.profile.steps : [];
};

async function putLayers() {
  const statistic = D.statistics.find(found => found.name === state.statistic);
  if (!statistic || !views.layers) return;
  const steps = checkpoints(), step = steps[Math.min(state.step, steps.length - 1)] ?? 0;
  const trace = detail => {
    if (!detail.profile) return [];
    // A run with other checkpoints is shown at its last one before.
    let at = 0;
    detail.profile.steps.forEach((s, k) => { if (s <= step) at = k; });
    return detail.profile.layers.map((layer, k) => [layer, detail.profile.values[statistic.name][at][k]]);
  };
  const all = [...linesShown(), ...inFront()].filter(detail => detail.profile);
  // One scale for all steps: what moves is the network, not the axis.
  const values = all.flatMap(detail => detail.profile.values[statistic.name].flat());
  const deepest = Math.max(0, ...all.map(detail => detail.profile.layers.at(-1)));
  const stride = Math.max(1, Math.ceil(deepest / 12)), layers = {place: x => x, low: -0.3, high: deepest + 0.3, marks: []};
  for (let k = 0; k <= deepest; k += stride) layers.marks.push([k, String(k)]);
  const share = finite(values).every(value => value >= 0 && value <= 1) && !statistic.log;
  await putLines("layers", trace, {x: layers, y: numberScale(finite(values), {log: statistic.log, share})});
  $("step").max = Math.max(0, steps.length - 1);
  $("step").value = Math.min(state.step, steps.length - 1);
  $("step").disabled = steps.length < 2;
  $("step").setAttribute("aria-valuetext", `step ${count(step)}`);
  const dark = chosenIsSilent(trace) ? " No finite record here." : "";
  $("step-text").textContent = steps.length ? `step ${count(step)} of ${count(steps.at(-1))}.${dark}` : "";
}

function chosenIsSilent(trace) {
  const chosen = state.run === null ? null : standIn(state.run);
  return Boolean(chosen) && trace(chosen).every(p => p[1] === null);
}

// --- what is selected ---------------------------------------------------------------------------

let waiting = 0, later = 0;
function changed() {
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; select(); });
  clearTimeout(later);
  later = setTimeout(settled, 140);
}

function select() {
  state.inside = new Uint8Array(N);
  state.selected = [];
  for (let i = 0; i < N; i++) if (passes(i)) { state.inside[i] = 1; state.selected.push(i); }
  summarize();
  axes.forEach(fill);
}

async function settled() {
  list();
  const shown = linesShown().length, all = selectedDetails().length;
  const runs = shown < all ? `${count(shown)} of the ${count(all)} selected` : plural(all, "selected run");
  document.querySelectorAll(".behind").forEach(element => {
    element.textContent = D.details.length ? `Thin lines: ${runs}${N > D.details.length ? " with curves in this page" : ""}.` : "";
  });
  await Promise.all([putRings(), putCurves(), putLayers()]);
}

function summarize() {
  const k = D.outcomes.indexOf("converged"), about = sampled ? "about " : "";
  let n = 0, converged = 0;
  for (const i of state.selected) { n += weight(i); if (D.outcome[i] === k) converged += weight(i); }
  const all = state.selected.length === N;
  if (N === 1) {
    $("selected").textContent = `One run: ${D.outcomes[D.outcome[0]]}.`;
    return;
  }
  let text = all ? `All ${plural(D.total, "run")}` : `${about}${count(n)} of ${plural(D.total, "run")} selected`;
  if (n) {
    const [low, high] = interval(converged, n);
    text += sampled ? `: ${all ? "" : about}${percent(converged / n)} converged.`
      : `: ${percent(converged / n)} converged (${count(converged)} of ${count(n)}; 95% interval ${percent(low)} to ${percent(high)}).`;
  } else text += ".";
  $("selected").textContent = text[0].toUpperCase() + text.slice(1);
  $("clear").disabled = all && !state.brush && !state.filters.size;
}

// --- axes: a row a value, with the outcomes of the runs selected ------------------------------------

function bins(axis) {
  const k = axis.labels.length;
  if (!axis.values || k <= 40) return axis.labels.map((label, code) => ({label, codes: [code]}));
  return Array.from({length: BINS}, (_, b) => {
    const codes = axis.labels.map((_, code) => code).filter(code => Math.floor(code * BINS / k) === b);
    return {label: `${axis.labels[codes[0]]} to ${axis.labels[codes.at(-1)]}`, codes};
  });
}

function facet(axis) {
  const box = make("fieldset", "", {class: "facet"});
  box.append(make("legend", axis.title));
  const all = bins(axis);
  axis.rows = all.slice(0, MOST_VALUES).map(bin => {
    const row = make("button", "", {type: "button", class: "value", "aria-pressed": "false"});
    const bar = make("span", "", {class: "stack", "aria-hidden": "true"});
    const parts = D.outcomes.map(name => make("i", "", {class: name}));
    bar.append(...parts);
    const tally = make("span", "", {class: "tally"});
    const label = make("span", "", {class: "label", title: bin.label});
    // Long names break where they have a joint.
    bin.label.split(/(?<=[_(,=-])/).forEach((part, k) => label.append(...(k ? [make("wbr"), part] : [part])));
    row.append(label, bar, tally);
    row.addEventListener("click", () => toggle(axis, bin.codes));
    return {...bin, row, parts, tally};
  });
  const scroll = make("div", "", {class: "values"});
  scroll.append(...axis.rows.map(entry => entry.row));
  box.append(scroll);
  if (all.length > MOST_VALUES) box.append(make("p", `${MOST_VALUES} of ${count(all.length)} values shown: the first.`, {class: "more"}));
  return box;
}

function fill(axis) {
  const tally = axis.labels.map(() => D.outcomes.map(() => 0));
  for (let i = 0; i < N; i++) if (passes(i, axis)) tally[axis.codes[i]][D.outcome[i]] += weight(i);
  const chosen = state.filters.get(axis);
  for (const entry of axis.rows) {
    const sums = D.outcomes.map((_, k) => entry.codes.reduce((sum, code) => sum + tally[code][k], 0));
    const n = sums.reduce((a, b) => a + b, 0);
    sums.forEach((sum, k) => { entry.parts[k].style.width = n ? `${100 * sum / n}%` : "0"; });
    const text = n ? `${percent(sums[0] / n)} of ${count(n)}` : "no run";
    entry.tally.textContent = text;
    if (n) entry.tally.append(make("span", " converged", {class: "unseen"}));
    const pressed = Boolean(chosen) && entry.codes.every(code => chosen.has(code));
    entry.row.setAttribute("aria-pressed", pressed);
    entry.row.classList.toggle("off", Boolean(chosen) && !pressed);
  }
}

function toggle(axis, codes) {
  const chosen = state.filters.get(axis) || new Set(), on = codes.every(code => chosen.has(code));
  for (const code of codes) on ? chosen.delete(code) : chosen.add(code);
  chosen.size ? state.filters.set(axis, chosen) : state.filters.delete(axis);
  putRuns();
  changed();
}

// --- the list and the run -------------------------------------------------------------------------

function list() {
  const loss = measure("final_loss").values, order = state.order;
  const key = i => loss[i] === null ? Infinity : loss[i];
  const rows = [...state.selected];
  if (order === "low") rows.sort((a, b) => key(a) - key(b) || a - b);
  if (order === "high") rows.sort((a, b) => key(b) === key(a) ? a - b : key(b) - key(a));
  const body = $("list");
  body.replaceChildren(...rows.slice(0, MOST_ROWS).map(i => {
    const row = make("tr"), first = make("td"), button = make("button", nameOf(i), {type: "button", class: "link"});
    button.addEventListener("click", () => { show(i); $("run").scrollIntoView({block: "start"}); });
    first.append(button);
    row.append(first, make("td", D.outcomes[D.outcome[i]]), make("td", D.outcome[i] ? D.fates[D.fate[i]] : "–"),
      make("td", loss[i] === null ? "diverged" : number(loss[i]), {class: "num"}));
    if (i === state.run) row.setAttribute("aria-current", "true");
    return row;
  }));
  $("list-more").textContent = rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${count(rows.length)}.` : rows.length ? "" : "No run is selected.";
}

function show(i) {
  state.run = i;
  const detail = standIn(i), own = detailOf.has(i);
  toRecords(detail);
  $("run-name").textContent = nameOf(i);
  const fate = D.outcome[i] ? ` (${D.fates[D.fate[i]]})` : "";
  const evidence = own && detail.evidence ? `: ${detail.evidence}` : "";
  $("run-fate").textContent = `${D.outcomes[D.outcome[i]]}${fate}${evidence}`;
  $("run-fate").className = `fate ${D.outcomes[D.outcome[i]]}`;
  $("run-facts").replaceChildren(...D.measures.map(found => {
    const pair = make("div");
    pair.append(make("dt", found.title), make("dd", found.values[i] === null ? found.absent : number(found.values[i])));
    return pair;
  }));
  $("run-replay").textContent = `campaign.replay("${D.ids[i]}")`;
  let note = "";
  if (!D.details.length) note = "";
  else if (!detail) note = "Its curves are not in this page, nor those of a run with the same setting and the same end.";
  else if (!own) note = `Its curves are not in this page. Shown are those of ${[seedsOf(detail.row), `run ${D.ids[detail.row]}`].filter(Boolean).join(", ")}, of the same setting and with the same outcome and diagnosis.`;
  $("run-note").textContent = note;
  $("run-note").hidden = !note;
  keepText();
  document.querySelectorAll("#list tr").forEach(row => row.removeAttribute("aria-current"));
  if (location.hash.slice(1) !== D.ids[i]) history.replaceState(null, "", `#${D.ids[i]}`);
  settled();
}

// A run that broke off has no record at late checkpoints: go back to its last.
function toRecords(detail) {
  const profile = detail && detail.profile;
  if (!profile || !state.statistic) return;
  const rows = profile.values[state.statistic], silent = k => rows[k].every(value => value === null);
  let k = Math.min(state.step, rows.length - 1);
  while (k > 0 && silent(k)) k--;
  if (!silent(k) && silent(Math.min(state.step, rows.length - 1))) state.step = k;
}

function keepText() {
  $("keep").textContent = state.kept === null ? "Keep this run to compare" : "Drop the dashed run";
  $("kept").textContent = state.kept === null ? "" : `Dashed: ${nameOf(state.kept)}, ${D.outcomes[D.outcome[state.kept]]}.`;
}

// --- start --------------------------------------------------------------------------------------

function options(select, groups, chosen) {
  for (const [title, entries] of groups) {
    if (!entries.length) continue;
    const group = make("optgroup", "", {label: title});
    group.append(...entries.map(entry => make("option", entry.title, {value: entry.name})));
    select.append(group);
  }
  select.value = chosen;
}

function controls() {
  const groups = [["Axes", D.axes], ["Outcome", D.measures]];
  for (const [channel, step] of [["x", 0.7548776662], ["y", 0.5698402910]]) {
    const wanted = D.start[channel], known = [...D.axes, ...D.measures].some(entry => entry.name === wanted);
    options($(channel), groups, known ? wanted : "final_loss");
    state[channel] = field($(channel).value, step);
    $(channel).addEventListener("change", () => {
      state[channel] = field($(channel).value, step);
      clearBrush();
    });
  }
  $("by").addEventListener("change", () => { state.by = $("by").value; redraw(); });
  $("order").addEventListener("change", () => { state.order = $("order").value; list(); });
  $("clear").addEventListener("click", () => { state.filters.clear(); clearBrush(); });
  $("keep").addEventListener("click", () => { state.kept = state.kept === null ? state.run : null; keepText(); settled(); });
  if ($("step")) {
    $("step").addEventListener("input", () => { state.step = +$("step").value; putLayers(); });
    options($("statistic"), [["Statistic of a layer", D.statistics]], state.statistic);
    $("statistic").addEventListener("change", () => { state.statistic = $("statistic").value; putLayers(); });
  }
  $("facets").append(...axes.map(facet));
}

async function clearBrush() {
  state.brush = null;
  await drawRuns();
  changed();
}

async function redraw() {
  theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  look = D.looks[theme];
  state.brush = null;
  await Promise.all([drawRuns(), embed("curves"), embed("layers")]);
  select();
  await settled();
}

function byHash() {
  const found = D.ids.indexOf(location.hash.slice(1));
  if (found >= 0 && found !== state.run) show(found);
  return found >= 0;
}

async function start() {
  // Room for "100% of 2,880", the same in every row.
  document.documentElement.style.setProperty("--tally", `${count(D.total).length + 7.5}ch`);
  controls();
  state.step = Infinity;
  await redraw();
  if (!byHash()) {
    const loss = measure("final_loss").values, rows = D.details.length ? D.details.map(detail => detail.row) : [0];
    const best = rows.reduce((a, b) => (loss[b] ?? Infinity) < (loss[a] ?? Infinity) ? b : a);
    show(best);
  }
  addEventListener("hashchange", byHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.explorer = {state, views, show, data: D};
  document.body.dataset.ready = "true";
}
start();
})();
