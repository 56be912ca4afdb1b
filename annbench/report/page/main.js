// Ties the controls to tables and plots.

const control = id => document.getElementById(id);
const boxes = [...document.querySelectorAll('#filter-algorithms input')];

function readFilter() {
  const budget = control('filter-budget').value;
  return {
    dataset: control('filter-dataset').value, mode: control('filter-mode').value,
    budget: budget === '' ? null : Number(budget),
    algorithms: new Set(boxes.filter(box => box.checked).map(box => box.value)),
  };
}

/** The setting to plot: the chosen one if the filters leave it, else the first they leave. */
function plottedSetting(filter) {
  const allowed = chosenSettings(filter);
  const select = control('plot-setting');
  for (const option of select.options) option.hidden = option.disabled = !allowed.includes(Number(option.value));
  if (!allowed.includes(Number(select.value))) select.value = allowed.length ? String(allowed[0]) : '';
  return allowed.length ? Number(select.value) : null;
}

function update() {
  const filter = readFilter();
  const number = plottedSetting(filter);
  const chosen = points.filter(point => point.setting === number && passes(point, filter));
  const showsAll = control('plot-all').checked;
  const left = new Set(chosenSettings(filter));
  const kept = points.filter(point => left.has(point.setting) && passes(point, filter)).length;
  control('filter-status').textContent = `${kept.toLocaleString('en')} of ${points.length.toLocaleString('en')} usable points`;
  showAnswers(filter);
  filterRows(filter);
  control('charts').hidden = number === null;
  showPoints(chosen, number === null ? new Set() : showPlots(chosen, data.settings[number], showsAll), showsAll);
}

control('filters').addEventListener('change', update);
control('filters').addEventListener('submit', event => event.preventDefault());
control('filters').addEventListener('reset', () => setTimeout(() => {
  control('plot-setting').selectedIndex = 0;
  update();
}));
control('plot-setting').addEventListener('change', update);
control('plot-all').addEventListener('change', update);
document.addEventListener('click', event => {
  if (event.target.matches('.copy')) copyYaml(event.target);
});
dark.addEventListener('change', update);
update();
