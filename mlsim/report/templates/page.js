"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const scenes = JSON.parse(document.getElementById("scenes").textContent);
  const font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', sans-serif";
  const axisDefaults = {
    ticks: "outside", ticklen: 4, tickcolor: "#8b93a3", linecolor: "#8b93a3", showline: true, mirror: false,
    gridcolor: "#dfe3e9", zerolinecolor: "#8b93a3", zerolinewidth: 1, automargin: true,
  };

  const modebar = { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: "#8b93a3", activecolor: "#2a7fb8" };

  // Small panels: a grid of axes, five columns on a desk, four on paper, two on a phone.
  function panelGrid(chart, width, layout) {
    const columns = Math.min(chart.panels.number, width < 640 ? chart.panels.narrow : width < 900 ? chart.panels.wide - 1 : chart.panels.wide);
    const rows = Math.ceil(chart.panels.number / columns);
    layout.grid = { rows: rows, columns: columns, pattern: "independent", xgap: 0.28, ygap: 0.34 };
    layout.height = rows * 215 + 52;
    layout.margin = { l: 44, r: 8, t: 34, b: 42 };
    layout.modebar = Object.assign({}, modebar, { orientation: "h" });  // above the panels, not over the name of the last
  }

  function layoutOf(chart, width) {
    const layout = JSON.parse(JSON.stringify(chart.layout));
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) layout[key] = Object.assign({}, axisDefaults, layout[key]);
    }
    const size = width < 420 ? 11 : 12.5;
    layout.margin = { l: 58, r: width < 420 ? 28 : 14, t: 14, b: 48 };  // a phone has no room for the legend beside the buttons
    if (layout.showlegend !== false) {
      layout.showlegend = true;
      layout.legend = { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", font: { size: size - 1 } };
    }
    if (chart.panels) panelGrid(chart, width, layout);
    return Object.assign({
      width: width, autosize: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: font, size: size, color: "#5b6475" }, hovermode: "closest", bargap: 0.25,
      modebar: modebar,
      hoverlabel: { font: { family: font, size: 12 } },
    }, layout);
  }

  // A4 less its margins is about 700 CSS pixels wide; pairs and triples print two in a row.
  function roomOf(place, printing) {
    if (!printing) return place.clientWidth;
    return place.closest(".pair, .three") ? 340 : 700;
  }

  // What is folded away has no width; it is drawn when it is unfolded.
  function draw(printing) {
    for (const name of Object.keys(charts)) {
      const place = document.getElementById("plot-" + name);
      if (!place || !place.clientWidth) continue;
      const layout = layoutOf(charts[name], roomOf(place, printing));
      if (printing) layout.height = Math.round(0.78 * layout.height);
      Plotly.react(place, charts[name].data, layout, {
        displaylogo: false, responsive: false, plotlyServerURL: "", scrollZoom: false,
        modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
        toImageButtonOptions: { format: "svg", filename: name },
      });
    }
  }

  const viewers = [];
  for (const name of Object.keys(scenes)) {
    const place = document.getElementById(name);
    if (place) viewers.push(glassViewer(place, scenes[name]));
  }
  const folded = Array.from(document.querySelectorAll("details"));
  let opened = [];
  draw(false);
  document.addEventListener("toggle", function () { if (!opened.length) draw(false); }, true);
  let waiting = null;
  window.addEventListener("resize", function () {
    clearTimeout(waiting);
    waiting = setTimeout(function () { draw(false); }, 150);
  });
  // Paper cannot be unfolded: everything is opened for it.
  window.addEventListener("beforeprint", function () {
    opened = folded.filter(function (part) { return !part.open; });
    opened.forEach(function (part) { part.open = true; });
    draw(true);
    viewers.forEach(function (viewer) { viewer.draw(true); });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (part) { part.open = false; });
    opened = [];
    draw(false);
    viewers.forEach(function (viewer) { viewer.draw(false); });
  });
})();
