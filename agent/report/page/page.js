"use strict";
// Draws the charts of the page that is open, from the JSON blocks of this file, in the colours of the theme.

const root = document.documentElement;
const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
// Plotly reads a few tags in texts; names are the experiment's and are shown as they are.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const LINES = ["#2b7a8a", "#c8663e", "#7a5ea8", "#6f9a3c", "#c2528b", "#d09a3c", "#4f7fc9", "#9a6b4f", "#3f9a7d", "#8a8f99"];
const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

function axis(title, more) {
  return {
    title: { text: plain(title), font: { size: 12 }, standoff: 8 }, gridcolor: colour("line"), linecolor: colour("line"),
    zeroline: false, tickfont: { size: 11 }, automargin: true, fixedrange: true, ...more,
  };
}

function layout(x, y, more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 14, t: 8, b: 8 },
    font: { family: "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", size: 12, color: colour("soft") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink"), size: 12 } },
    xaxis: x, yaxis: y, showlegend: false, dragmode: false, hovermode: "closest", ...more,
  };
}

function overRuns(chart) {
  const few = chart.x.length <= 60;
  const names = chart.x.map((name) => (chart.axis === "run" ? "run " + name : plain(name)));
  const traces = [{
    type: "scatter", mode: chart.axis === "run" && chart.x.length > 1 ? "lines+markers" : "markers",
    x: few ? names : chart.x.map(Number), y: chart.y, customdata: chart.links, text: names,
    error_y: { type: "data", array: chart.err.map((one) => one || 0), visible: chart.err.some(Boolean), thickness: 1.3, width: 4, color: colour("experiment") },
    marker: { size: few ? 9 : 5, color: colour("experiment") }, line: { width: 1.2, color: colour("line") },
    hovertemplate: "%{text}: %{y:.6g}<extra></extra>",
  }];
  const shapes = [], annotations = [];
  if (chart.base !== null) {
    const line = { color: colour("slot"), width: 1.4, dash: "dash" };
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.base, y1: chart.base, line });
    if (chart.base_err) {
      const [y0, y1] = [chart.base - chart.base_err, chart.base + chart.base_err];
      shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0, y1, fillcolor: colour("slot"), opacity: 0.12, line: { width: 0 } });
    }
    annotations.push({
      xref: "paper", x: 1, xanchor: "right", y: chart.base, yanchor: "bottom", text: "baseline", showarrow: false,
      font: { size: 11, color: colour("slot") },
    });
    // An invisible point keeps the line inside the axis' range.
    traces.push({ type: "scatter", mode: "markers", x: [traces[0].x[0]], y: [chart.base], marker: { opacity: 0 }, hoverinfo: "skip" });
  }
  const x = few ? axis("", { type: "category", showgrid: false, range: [-0.5, names.length - 0.5] }) : axis(chart.axis, { showgrid: false });
  return [traces, layout(x, axis("", {}), { shapes, annotations })];
}

function scatter(chart) {
  const part = (base) => chart.points.filter((point) => point.base === base);
  const trace = (base, name, marker, points = part(base)) => ({
    type: "scatter", mode: chart.points.length <= 30 ? "markers+text" : "markers", name,
    x: points.map((point) => point.x), y: points.map((point) => point.y), customdata: points.map((point) => point.link),
    text: points.map((point) => plain(point.name)), textposition: base ? "middle right" : "top center", textfont: { size: 11 }, marker,
    hovertemplate: "%{text}: %{x:.5g}, %{y:.5g}<extra></extra>", cliponaxis: false,
  });
  const traces = [
    trace(true, "baseline", { size: 11, symbol: "diamond", color: colour("slot") }),
    trace(false, "runs", { size: 9, color: colour("experiment") }),
  ];
  return [traces, layout(axis(chart.xlabel, {}), axis(chart.ylabel, {}), { margin: { l: 8, r: 40, t: 22, b: 8 } })];
}

function curves(chart) {
  let used = 0;
  const traces = chart.lines.map((line) => ({
    type: "scatter", mode: "lines", name: plain(line.name), x: line.x, y: line.y,
    line: line.base ? { color: colour("faint"), width: 1.6, dash: "dash" } : { color: LINES[used++ % LINES.length], width: 1.6 },
    hovertemplate: plain(line.name) + ": %{y:.5g}<extra></extra>",
  }));
  const values = chart.lines.flatMap((line) => line.y).filter((y) => y !== null);
  const wide = Math.min(...values) > 0 && Math.max(...values) > 30 * Math.min(...values);
  return [traces, layout(axis(chart.xlabel, { showgrid: false }), axis("", wide ? { type: "log", dtick: 1 } : {}), {
    showlegend: true, hovermode: "x unified", margin: { l: 8, r: 14, t: 34, b: 8 },
    legend: { orientation: "h", yref: "container", yanchor: "top", y: 1, x: 0, font: { size: 11 } },
  })];
}

const KINDS = { runs: overRuns, scatter, curves };

function draw(article) {
  const block = document.getElementById(article.dataset.charts);
  if (!block) return;
  const charts = JSON.parse(block.textContent);
  for (const place of article.querySelectorAll("[data-chart]")) {
    const chart = charts[Number(place.dataset.chart)];
    const [traces, how] = KINDS[chart.kind](chart);
    Plotly.react(place, traces, how, CONFIG);
    if (place.dataset.drawn) continue;
    place.dataset.drawn = "yes";
    place.on("plotly_click", (event) => {
      const link = event.points[0].customdata;
      if (typeof link === "string") location.hash = link;
    });
  }
}

function open() {
  const articles = [...document.querySelectorAll("main > article")];
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const shown = (target && target.closest("article")) || articles[0];
  for (const article of articles) article.hidden = article !== shown;
  draw(shown);
  if (!target) return;
  if (target.matches("details")) target.open = true;
  if (target === shown) scrollTo(0, 0);
  else target.scrollIntoView();
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  draw(document.querySelector("main > article:not([hidden])"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(document.querySelector("main > article:not([hidden])")));
addEventListener("hashchange", open);
open();
