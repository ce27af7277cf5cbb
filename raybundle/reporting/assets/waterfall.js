/* Where the time went: one bar for each stage, from the beginning of the run; thin ones are parts of others. */
function drawWaterfall() {
  const place = byId("waterfall");
  if (!place || !place.clientWidth || !data.stages.length) return;
  const width = place.clientWidth;
  const end = Math.max(...data.stages.map((each) => each[1] + each[2])) || 1;
  const longest = Math.max(...data.stages.map((each) => each[3] ? 0 : each[2]));
  const rows = data.stages.map(([name, start, seconds, inner]) => ({
    name, start, end: start + seconds, inner, longest: !inner && seconds === longest, label: `${seconds.toFixed(1)} s`, tip: `${name}\n${start.toFixed(2)} s to ${(start + seconds).toFixed(2)} s`,
    side: start + seconds < 0.88 * end ? "after" : seconds > 0.2 * end && !inner ? "inside" : "before",
  }));
  drawIn("waterfall", waterfallOf(rows, end, width));
}

function waterfallOf(rows, end, width) {
  const axis = { labelFont: sans(), labelColor: colour("soft"), labelFontSize: 12, domain: false, ticks: false };
  return {
    width, height: rows.length * 30 + 26, padding: 0, autosize: { type: "fit", contains: "padding" }, background: null,
    data: [{ name: "rows", values: rows }],
    scales: [
      { name: "x", type: "linear", domain: [0, end], range: "width", nice: false },
      { name: "y", type: "band", domain: { data: "rows", field: "name" }, range: "height", paddingInner: 0.3, paddingOuter: 0.15 },
    ],
    axes: [
      { orient: "bottom", scale: "x", tickCount: width < 500 ? 3 : 6, grid: true, gridColor: colour("line"), ...axis, encode: { labels: { update: { text: { signal: "format(datum.value, '~g') + ' s'" } } } } },
      { orient: "left", scale: "y", ...axis, labelColor: colour("ink"), labelPadding: 10, labelLimit: width < 500 ? 120 : 200 },
    ],
    marks: [
      { type: "rect", from: { data: "rows" }, encode: { update: {
        x: { scale: "x", field: "start" }, x2: { signal: "max(scale('x', datum.end), scale('x', datum.start) + 2)" }, y: { scale: "y", field: "name", band: { signal: "datum.inner ? 0.25 : 0" } }, height: { scale: "y", band: { signal: "datum.inner ? 0.5 : 1" } },
        cornerRadius: { value: 2 }, fill: { signal: `datum.longest ? '${colour("bar")}' : '${colour("bar-rest")}'` }, tooltip: { field: "tip" } } } },
      { type: "text", from: { data: "rows" }, interactive: false, encode: { update: {
        x: { signal: "datum.side === 'before' ? scale('x', datum.start) - 6 : scale('x', datum.end) + (datum.side === 'after' ? 6 : -8)" }, align: { signal: "datum.side === 'after' ? 'left' : 'right'" },
        y: { scale: "y", field: "name", band: 0.5 }, baseline: { value: "middle" }, text: { field: "label" }, font: { value: sans() }, fontSize: { value: 12 },
        fill: { signal: `datum.side !== 'inside' ? '${colour("ink")}' : datum.longest ? '${colour("bar-ink")}' : '${colour("on")}'` } } } },
    ],
  };
}
