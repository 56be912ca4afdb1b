// The four charts of the chosen setting.

const dark = matchMedia('(prefers-color-scheme: dark)');
const looks = new Map(data.algorithms.map(look => [look.name, look]));
const charts = data.axes.map(axis => {
  const plot = element('div', { class: 'plot', id: 'plot-' + axis.name });
  const box = element('div', { class: 'chart' },
    element('h3', {}, axis.title, element('small', {}, axis.direction)), plot);
  document.getElementById('charts').append(box);
  return { axis, plot, box };
});

// Plotly reads a few tags in its texts; a name must stay a name.
const plain = value => String(value).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function wrapped(value, width = 64) {
  const lines = [];
  let rest = value;
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    lines.push(rest.slice(0, space > 20 ? space : width));
    rest = rest.slice(space > 20 ? space + 1 : width);
  }
  return [...lines, rest].map(plain).join('<br>');
}

function hoverText(point) {
  const [recall, interval, qps, p99, bytes, build] = point.cells;
  const lines = [`<b>${wrapped(point.algorithm)}</b>`, wrapped(point.configuration), `recall@k ${recall} ${interval}`,
    `${qps} QPS · p99 ${p99} µs`, `${bytes} bytes/vector · build ${build} s`,
    wrapped(`${point.libraries} · ${point.isa} · ${point.workers} worker${point.workers === 1 ? '' : 's'}`)];
  lines.push(point.verdict === 'ok' ? 'ok' : wrapped(`${point.verdict}: ${point.reasons}`));
  return lines.join('<br>');
}

function traces(chosen, axis, setting, showsAll) {
  const colour = look => dark.matches ? look.colours.dark : look.colours.light;
  const x = point => -Math.log10(Math.min(1, Math.max(1 - point.recall, setting.floor)));
  const common = (list, look) => ({
    type: 'scatter', name: plain(look.name), x: list.map(x), y: list.map(p => p[axis.name]),
    customdata: list.map(hoverText), hovertemplate: '%{customdata}<extra></extra>',
  });
  const all = [], lines = [], onFront = [];
  for (const look of data.algorithms) {
    const own = chosen.filter(point => point.algorithm === look.name && point[axis.name] !== null);
    if (!own.length) continue;
    const best = front(own, axis);
    onFront.push(...best);
    if (showsAll) {
      all.push({ ...common(own, look), mode: 'markers', meta: 'all',
        marker: { symbol: look.symbol, size: 5, color: colour(look), opacity: 0.35 } });
    }
    lines.push({ ...common(best, look), mode: 'lines+markers', meta: 'front',
      line: { color: colour(look), width: 2, dash: look.dash },
      marker: { size: 9, color: colour(look), opacity: 1,
        symbol: best.map(p => p.verdict === 'ok' ? look.symbol : look.symbol + '-open') } });
  }
  return { traces: [...all, ...lines], onFront };
}

/** Ticks at 1, 2 and 5 of every decade, of which plotly shows those in range; at 1 alone if they would crowd. */
function logTicks(values) {
  const positive = values.filter(value => value > 0);
  const wide = Math.log10(Math.max(...positive) / Math.min(...positive)) > 3.2;
  const decades = Array.from({ length: 22 }, (_, i) => i - 8);
  const tickvals = decades.flatMap(decade => (wide ? [1] : [1, 2, 5]).map(step => Number(`${step}e${decade}`)));
  const short = value => value >= 1e6 ? `${value / 1e6}M` : value >= 1e4 ? `${value / 1e3}k` : value.toLocaleString('en',
    { maximumFractionDigits: 8 });
  return { tickvals, ticktext: tickvals.map(short) };
}

function layout(values, setting, width) {
  const style = getComputedStyle(document.body);
  const colour = name => style.getPropertyValue(name).trim();
  const lines = { gridcolor: colour('--line'), linecolor: colour('--soft'), zeroline: false, ticks: 'outside',
    tickcolor: colour('--line') };
  return {
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: colour('--soft'), activecolor: colour('--ink') },
    margin: { l: 58, r: 12, t: 10, b: 44 }, showlegend: false, hovermode: 'closest',
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: style.fontFamily, size: 12, color: colour('--ink') },
    hoverlabel: { align: 'left', bgcolor: colour('--panel'), bordercolor: colour('--soft'),
      font: { color: colour('--ink'), family: style.fontFamily, size: 12 } },
    xaxis: { ...lines, title: { text: 'recall@k (log of misses)', standoff: 8 }, range: setting.range, tickangle: 0,
      ...setting.ticks[width < 480 ? 1 : 0] },
    yaxis: { ...lines, type: 'log', ...logTicks(values) },
  };
}

/** Draws the charts; returns the points that are on one of the fronts. */
function showPlots(chosen, setting, showsAll) {
  const onFronts = new Set();
  for (const { axis, plot, box } of charts) {
    const drawn = traces(chosen, axis, setting, showsAll);
    drawn.onFront.forEach(point => onFronts.add(point));
    box.hidden = points.every(point => point[axis.name] === null) ||
      (chosen.length > 0 && chosen.every(point => point[axis.name] === null));
    if (box.hidden) Plotly.purge(plot);
    else Plotly.react(plot, drawn.traces, layout(drawn.traces.flatMap(trace => trace.y), setting, plot.clientWidth),
      // Listed one by one: by default plotly adds a button that uploads the chart.
      { displaylogo: false, responsive: true, plotlyServerURL: '', displayModeBar: 'hover',
        modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'zoomIn2d', 'zoomOut2d', 'resetScale2d']] });
  }
  return onFronts;
}
