"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const element = id => document.getElementById(id);
const INK = "#1b2a41", QUIET = "#5f6b7a", RULE = "#dfe3e8";
const FONT = { family: "system-ui, sans-serif", size: 12, color: INK };
const DASHES = ["solid", "dash", "dot", "dashdot"];
const PARTS = [
  ["floor of the estimate", "#c9ced6"], ["discretisation", "#8fb3d1"],
  ["prior", "#3f6f97"], ["network", "#8a5a9e"],
];
const CONFIG = { displayModeBar: false };
// WebGL draws points faster, where there is any.
const POINTS = document.createElement("canvas").getContext("webgl") ? "scattergl" : "scatter";
const LONGEST = 2; // of a score times sigma that an arrow shows

const state = {
  dataset: Object.keys(data.datasets)[0],
  seed: data.seeds[0],
  variants: new Set(data.variants.slice(0, 4).map(variant => variant.name)),
  step: 0,
  playing: null,
};
const steps = Math.max(...Object.values(data.runs).map(run => run.timesteps.length));
const isOn = layer => element(layer).checked && !element(layer).disabled;
const chosen = () => data.variants.filter(variant => state.variants.has(variant.name));
const named = (name, seed = state.seed) => `${name}/${state.dataset}/${seed}`;
const fieldsOf = name => data.fields[`${data.processes[name]}/${state.dataset}`];
const escaped = text => text.replace(/[&<>]/g, letter => `&#${letter.charCodeAt(0)};`);
const ticks = (low, high, count) =>
  Array.from({ length: count }, (_, i) => low + (high - low) * i / (count - 1));

/** Index of a run's level at the slider's place. */
const levelOf = run => Math.round(state.step / (steps - 1) * (run.timesteps.length - 1));

/** Timestep at which a run's network was asked last, or null for its samples. */
function timestepOf(run) {
  const timestep = run.timesteps[levelOf(run)];
  return timestep < 0 ? null : timestep;
}

const integers = new Map();
/** Columns of a packed array; with an index, of its part along the first axis. */
function unpacked(packed, index = null) {
  if (!integers.has(packed)) {
    const bytes = Uint8Array.from(atob(packed.data), letter => letter.charCodeAt(0));
    integers.set(packed, new Uint16Array(bytes.buffer));
  }
  const all = integers.get(packed), width = packed.low.length;
  const size = index === null ? all.length : all.length / packed.shape[0];
  const start = index === null ? 0 : index * size;
  return packed.low.map((low, column) =>
    Array.from({ length: size / width },
      (_, i) => low + packed.step[column] * all[start + i * width + column]));
}

/** Line through all arrows of a score field, each with its head. */
function arrows(scores, box) {
  const count = data.grid.arrows, x = [], y = [];
  const places = [0, 1].map(axis => ticks(box.low[axis], box.high[axis], count));
  const gap = [0, 1].map(axis => 0.85 * (box.high[axis] - box.low[axis]) / (count - 1));
  const [u, v] = scores;
  for (let i = 0; i < u.length; i++) {
    const length = Math.hypot(u[i], v[i]), share = Math.min(1, length / LONGEST) / (length || 1);
    const from = [places[0][i % count], places[1][Math.floor(i / count)]];
    const along = [u[i] * share, v[i] * share];
    const at = (forth, aside) => [0, 1].map(axis =>
      from[axis] + gap[axis] * (forth * along[axis] + aside * (axis ? along[0] : -along[1])));
    for (const place of [at(-.5, 0), at(.5, 0), null, at(.22, .16), at(.5, 0), at(.22, -.16), null]) {
      x.push(place && place[0]);
      y.push(place && place[1]);
    }
  }
  return { type: "scatter", mode: "lines", x, y };
}

/** Traces of one model's panel. */
function panel({ name, colour }, number) {
  const box = data.datasets[state.dataset], run = data.runs[named(name)], fields = fieldsOf(name);
  const suffix = number > 1 ? number : "";
  const common = { xaxis: `x${suffix}`, yaxis: `y${suffix}`, hoverinfo: "skip", showlegend: false };
  // Reports the mouse also where it shows nothing.
  const ground = { ...common, type: "heatmap", meta: name, hoverinfo: "none", showscale: false,
    zmin: 0, zmax: 1, colorscale: [[0, "rgba(255,255,255,0)"], [.15, "#f3ead2"], [1, "#d3a43c"]],
    x: [box.low[0], box.high[0]], y: [box.low[1], box.high[1]], z: [[0, 0], [0, 0]] };
  if (!run) return [ground];
  const level = levelOf(run), traces = [ground];
  if (isOn("density") && fields) {
    const cells = data.grid.cells, [density] = unpacked(fields.log_density, level);
    const most = density.reduce((a, b) => Math.max(a, b));
    const values = density.map(value => Math.exp((value - most) / 2));
    Object.assign(ground, { zsmooth: "best",
      x: ticks(box.low[0], box.high[0], cells), y: ticks(box.low[1], box.high[1], cells),
      z: Array.from({ length: cells }, (_, row) => values.slice(row * cells, (row + 1) * cells)) });
  }
  if (isOn("real")) {
    const [x, y] = unpacked(box.points);
    traces.push({ ...common, type: POINTS, mode: "markers", x, y,
      marker: { size: 3.5, color: "#aab2bd", opacity: .55, line: { width: 0 } } });
  }
  if (run.points) {
    const [x, y] = unpacked(run.points, level);
    traces.push({ ...common, type: POINTS, mode: "markers", x, y,
      marker: { size: 3.2, color: colour, opacity: .75, line: { width: 0 } } });
  }
  if (isOn("exact") && fields)
    traces.push({ ...common, ...arrows(unpacked(fields.scores, level), box),
      line: { width: 2.6, color: "rgba(27,42,65,.3)" } });
  if (isOn("score") && run.scores)
    traces.push({ ...common, ...arrows(unpacked(run.scores, level), box),
      line: { width: 1.1, color: INK } });
  return traces;
}

function title(variant, run) {
  if (!run) return `<b>${escaped(variant.label)}</b><br>not trained with this seed`;
  const timestep = timestepOf(run), ratio = run.ratios[levelOf(run)];
  const noise = ratio === null ? "no data left" : `σ/α = ${ratio.toPrecision(2)}`;
  const at = timestep === null ? "samples" : `t = ${timestep}, ${noise}`;
  return `<b>${escaped(variant.label)}</b><br><span style="color:${QUIET}">${at}</span>`;
}

/** Square panels in rows, all with the same range. */
function cloudLayout(variants) {
  const box = data.datasets[state.dataset], width = element("clouds").clientWidth;
  const across = Math.min(variants.length, width < 600 ? 2 : Math.floor(width / 250));
  const down = Math.ceil(variants.length / across), gap = 18, head = 58, foot = 22;
  const side = Math.min(520, (width - 2 - gap * (across - 1)) / across);
  const height = down * (side + head) + foot, left = (width - across * side - gap * (across - 1)) / 2;
  const spans = [0, 1].map(axis => box.high[axis] - box.low[axis]);
  const layout = {
    width, height, margin: { l: 0, r: 0, t: 0, b: 0 }, font: FONT, dragmode: "zoom",
    hovermode: "closest", uirevision: `${state.dataset} ${variants.map(v => v.name)}`,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", annotations: [],
  };
  variants.forEach((variant, i) => {
    const number = i ? i + 1 : "", x = left + (i % across) * (side + gap);
    const top = Math.floor(i / across) * (side + head) + head;
    const line = { showgrid: false, zeroline: false, linecolor: RULE, mirror: true, linewidth: 1,
      ticks: "inside", tickcolor: RULE, tickfont: { size: 10, color: QUIET }, nticks: 5 };
    const share = value => Math.min(1, Math.max(0, value));
    layout[`xaxis${number}`] = { ...line, domain: [share(x / width), share((x + side) / width)],
      range: [box.low[0], box.high[0]], anchor: `y${number}`, ...(i && { matches: "x" }) };
    layout[`yaxis${number}`] = { ...line, range: [box.low[1], box.high[1]], anchor: `x${number}`,
      domain: [share(1 - (top + side) / height), share(1 - top / height)],
      showticklabels: false, ticks: "", ...(i && { matches: "y" }),
      ...(spans[0] === spans[1] && !i && { scaleanchor: "x", constrain: "domain" }) };
    layout.annotations.push({ text: title(variant, data.runs[named(variant.name)]), showarrow: false,
      xref: "paper", yref: "paper", x: share(x / width), y: share(1 - (top - 4) / height),
      xanchor: "left", yanchor: "bottom", align: "left", font: { ...FONT, size: 13 } });
  });
  return layout;
}

const plain = (width, height) => ({
  width, height, margin: { l: 42, r: 12, t: 8, b: 40 }, font: FONT, hovermode: "closest",
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  legend: { orientation: "h", x: 0, y: -.24, yanchor: "top", font: { size: 11 } },
});

function drawWeights(variants) {
  const traces = [], cursors = new Set();
  let last = 1;
  for (const { name, label, colour } of variants) {
    const weights = data.weights[named(name)], run = data.runs[named(name)];
    if (!weights || !run) continue;
    cursors.add(timestepOf(run) ?? 0);
    Object.entries(weights).forEach(([branch, y], i) => {
      last = Math.max(last, y.length - 1);
      traces.push({ type: "scatter", mode: "lines", x: y.map((_, t) => t), y, name: `${label}, ${branch}`,
        line: { color: colour, width: 2, dash: DASHES[i % DASHES.length] },
        hovertemplate: "t = %{x}: %{y:.3f}<extra>%{fullData.name}</extra>" });
    });
  }
  const layout = { ...plain(element("weights").clientWidth, 320), showlegend: true,
    xaxis: { title: { text: "timestep t, from noise to data", standoff: 6 }, range: [last, 0],
      gridcolor: "#eef1f4", zeroline: false },
    yaxis: { title: { text: "weight" }, gridcolor: "#eef1f4", zeroline: false, rangemode: "tozero" },
    shapes: [...cursors].map(t => ({ type: "line", xref: "x", yref: "paper", x0: t, x1: t, y0: 0, y1: 1,
      line: { color: INK, width: 1.5 } })) };
  if (!traces.length)
    Object.assign(layout, { xaxis: { visible: false }, yaxis: { visible: false }, annotations: [{
      text: "None of these models learns weights.", showarrow: false, xref: "paper", yref: "paper",
      x: .5, y: .6, font: { ...FONT, color: QUIET } }] });
  Plotly.react("weights", traces, layout, CONFIG);
}

let drawnKl = "";
function drawKl(variants) {
  const width = element("kl").clientWidth, shows = [width, state.dataset, state.seed, ...state.variants].join();
  if (shows === drawnKl) return; // the slider does not change it
  drawnKl = shows;
  const y = variants.map(variant => escaped(variant.label));
  const parts = variants.map(({ name }) => data.parts[`${name}/${state.dataset}`]);
  const ofSeed = variants.map(({ name }) => data.kl[named(name)] ?? null);
  const traces = parts.some(Boolean) ? PARTS.map(([name, colour], i) => ({ type: "bar", orientation: "h",
    name, x: parts.map(found => found ? found[i] : null), y, marker: { color: colour },
    hovertemplate: `%{y}<br>${name}: %{x:.3f} bits<extra></extra>` })) : [];
  traces.push({ type: "scatter", mode: "markers", name: `KL, seed ${state.seed}`, x: ofSeed, y,
    marker: { symbol: "diamond", size: 9, color: INK, line: { color: "#fff", width: 1 } },
    hovertemplate: "%{y}: %{x:.3f} bits<extra></extra>" });
  const beside = ofSeed.map((bits, i) => // right of bar and diamond
    Math.max(bits, 0, (parts[i] ?? []).reduce((sum, part) => sum + Math.max(part, 0), 0)));
  const most = Math.max(0.02, ...beside), least = Math.min(0, ...ofSeed, ...parts.map(found =>
    (found ?? []).reduce((sum, part) => sum + Math.min(part, 0), 0)));
  Plotly.react("kl", traces, { ...plain(width, 320), barmode: "relative", bargap: .45,
    showlegend: true, annotations: y.map((label, i) => ({ x: beside[i], y: label, xanchor: "left",
      xshift: 8, showarrow: false, text: ofSeed[i]?.toFixed(3) ?? "" })),
    xaxis: { title: { text: "bits", standoff: 6 }, gridcolor: "#eef1f4",
      zerolinecolor: QUIET, range: [1.15 * least, least + 1.22 * (most - least)] },
    yaxis: { automargin: true, autorange: "reversed", ticksuffix: " " } }, CONFIG);
}

function draw() {
  const variants = chosen(), names = variants.map(variant => variant.name);
  for (const layer of ["density", "exact"]) element(layer).disabled = !names.some(fieldsOf);
  element("score").disabled = !names.some(name => data.runs[named(name)]?.scores);
  const traces = variants.flatMap((variant, i) => panel(variant, i + 1));
  Plotly.react("clouds", traces, cloudLayout(variants), CONFIG);
  drawWeights(variants);
  drawKl(variants);
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

/** Exact density at a place: log-density between the four places of the grid around it. */
function densityAt(fields, level, x, y) {
  const box = data.datasets[state.dataset], cells = data.grid.cells;
  const [values] = unpacked(fields.log_density, level);
  const [i, j] = [x, y].map((value, axis) =>
    (value - box.low[axis]) / (box.high[axis] - box.low[axis]) * (cells - 1));
  if (!(i >= 0 && j >= 0 && i <= cells - 1 && j <= cells - 1)) return null;
  const left = Math.min(Math.floor(i), cells - 2), low = Math.min(Math.floor(j), cells - 2);
  const at = (column, row) => values[row * cells + column];
  const mixed = (a, b, share) => a + (b - a) * share;
  return Math.exp(mixed(mixed(at(left, low), at(left + 1, low), i - left),
    mixed(at(left, low + 1), at(left + 1, low + 1), i - left), j - low));
}

function tell({ points, xvals, yvals, event }) {
  const hint = element("hint"), name = points[0].data.meta, x = xvals[0], y = yvals[0];
  const run = data.runs[named(name)], fields = fieldsOf(name);
  let text = `(${x.toFixed(2)}, ${y.toFixed(2)})`;
  const density = run && fields ? densityAt(fields, levelOf(run), x, y) : null;
  if (density !== null) text += `  exact density ${density < 1e-6 ? "below 1e-6" : density.toPrecision(2)}`;
  hint.textContent = text;
  hint.hidden = false;
  hint.style.left = `${Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8)}px`;
  hint.style.top = `${event.clientY + 16}px`;
}

function move(step) {
  state.step = step;
  element("slider").value = step;
  soon();
}

function play(on) {
  clearInterval(state.playing);
  state.playing = null;
  element("play").textContent = on ? "❚❚" : "▶";
  element("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on) return;
  if (state.step === steps - 1) move(0);
  state.playing = setInterval(() => state.step < steps - 1 ? move(state.step + 1) : play(false), 160);
}

function options(select, values, chosen) {
  select.replaceChildren(...values.map(value => new Option(value, value)));
  select.onchange = () => { chosen(select.value); soon(); };
}

function start() {
  options(element("dataset"), Object.keys(data.datasets), value => { state.dataset = value; });
  options(element("seed"), data.seeds, value => { state.seed = Number(value); });
  for (const { name, label, colour } of data.variants) {
    const box = Object.assign(document.createElement("input"),
      { type: "checkbox", value: name, checked: state.variants.has(name) });
    const around = document.createElement("label");
    around.style.setProperty("--tint", colour);
    around.append(box, label);
    box.onchange = () => {
      state.variants[box.checked ? "add" : "delete"](name);
      if (!state.variants.size) box.checked = state.variants.add(name).has(name); // never none
      soon();
    };
    element("variants").append(around);
  }
  for (const layer of ["real", "density", "score", "exact"]) element(layer).onchange = soon;
  element("slider").max = steps - 1;
  element("slider").oninput = event => { play(false); move(Number(event.target.value)); };
  element("play").onclick = () => play(state.playing === null);
  const points = Math.max(...Object.values(data.runs).map(run => run.points.shape[1]));
  element("about").textContent =
    `Each panel shows ${points} points x divided by alpha, so that they lie beside the data. Arrows: ` +
    `sigma times the score at the slider's noise level, cut at ${LONGEST}; the model's are thin and ` +
    "dark, the exact ones broad and grey. The exact density, also under the mouse, is that of the " +
    "data with the slider's noise, or where that is less, with noise of one cell of its grid of " +
    `${data.grid.cells} × ${data.grid.cells} places. The KL's parts sum to its mean over the seeds: ` +
    "the floor is that of fresh real points, the network's part is what an optimal one would save.";
  move(Math.round(0.7 * (steps - 1)));
  draw();
  element("clouds").on("plotly_hover", tell);
  element("clouds").on("plotly_unhover", () => { element("hint").hidden = true; });
  addEventListener("resize", soon);
}

start();
