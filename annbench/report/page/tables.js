// Tables. Names come from strangers' configs: they are only ever set as text.

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  node.append(...children);
  return node;
}

const swatches = new Map([...document.querySelectorAll('#filter-algorithms label')].map(label =>
  [label.querySelector('input').value, label.querySelector('svg')]));

function useCell(point, withYaml) {
  const cell = element('td', { class: 'use' }, swatches.get(point.algorithm).cloneNode(true),
    element('strong', {}, point.algorithm), ' ');
  if (withYaml) cell.append(element('details', { class: 'yaml' }, element('summary', {}, 'YAML'),
    element('button', { type: 'button', class: 'copy' }, 'Copy'),
    element('pre', { tabindex: '0' }, point.yaml.map(text).join('\n'))), ' ');
  cell.append(element('span', { class: 'configuration' }, point.configuration));
  return cell;
}

function figureCells(point) {
  const [recall, interval, qps, p99, bytes, build] = point.cells;
  const number = (label, ...content) => element('td', { class: 'number', 'data-label': label }, ...content);
  const verdict = element('td', { 'data-label': 'verdict' },
    element('span', { class: 'verdict ' + point.verdict }, point.verdict),
    element('span', { class: 'reasons' }, point.reasons));
  return [number('recall', recall, element('span', { class: 'interval' }, interval)), number('QPS', qps),
    number('p99 µs', p99), number('bytes/vector', bytes), number('build s', build), verdict];
}

function missText(miss) {
  if (!miss) return '';
  const size = miss.ratio === null ? '' : `, ${miss.cells[4].match(/\((.*)\)/)[1]} float32`;
  return `closest: ${miss.algorithm} ${miss.configuration} (recall ${miss.cells[0]}${size})`;
}

function answerRow(found, target, wish, isFirst) {
  const row = element('tr', { 'data-answer': '' });
  if (isFirst) row.append(element('th',
    { scope: 'rowgroup', rowspan: data.wishes.length, class: 'target' }, '≥ ' + target.toFixed(2)));
  row.append(element('th', { scope: 'row', class: 'wish' }, wish.text));
  if (found.point) row.append(useCell(found.point, true), ...figureCells(found.point));
  else row.append(element('td', { colspan: '7', class: 'none' }, 'none measured',
    element('span', { class: 'miss' }, missText(found.miss))));
  return row;
}

function showAnswers(filter) {
  const shown = new Set(chosenSettings(filter));
  for (const block of document.querySelectorAll('#answer .setting')) {
    const number = Number(block.dataset.setting);
    block.hidden = !shown.has(number);
    if (block.hidden) continue;
    const candidates = points.filter(point => point.setting === number && passes(point, filter));
    const bodies = data.targets.map(target => element('tbody', {}, ...data.wishes.map((wish, i) =>
      answerRow(answer(candidates, wish, target), target, wish, i === 0))));
    const table = block.querySelector('table');
    table.replaceChildren(table.tHead, ...bodies);
  }
}

/** Rows that were written with the page: shown or hidden by their data attributes. */
function filterRows(filter) {
  const shown = new Set(chosenSettings(filter));
  for (const block of document.querySelectorAll('#equal-recall .setting')) {
    block.hidden = !shown.has(Number(block.dataset.setting));
  }
  const budget = filter.budget === null ? '' : String(filter.budget);
  for (const row of document.querySelectorAll('tr[data-algorithm], tr[data-dataset]')) {
    const { algorithm, dataset, mode } = row.dataset;
    row.hidden = (algorithm !== undefined && swatches.has(algorithm) && !filter.algorithms.has(algorithm)) ||
      (row.dataset.budget !== undefined && row.dataset.budget !== budget && Number(row.dataset.budget || NaN) !== filter.budget) ||
      (filter.dataset && dataset !== undefined && dataset !== filter.dataset) ||
      (filter.mode && mode !== undefined && mode !== filter.mode) || false;
  }
}

const MOST_ROWS = 500;

function showPoints(chosen, onFronts, showsAll) {
  const rows = chosen.filter(point => showsAll || onFronts.has(point)).sort((a, b) => b.qps - a.qps);
  const kept = rows.slice(0, MOST_ROWS);
  document.getElementById('points-body').replaceChildren(...kept.map(point =>
    element('tr', {}, useCell(point, false), ...figureCells(point))));
  const cut = rows.length > kept.length ? `, the fastest ${kept.length} shown; results.csv has all` : '';
  document.getElementById('points-count').textContent =
    `(${rows.length} ${showsAll ? 'points' : 'points on a front'}${cut})`;
}

function copyYaml(button) {
  const pre = button.parentElement.querySelector('pre');
  const done = () => { button.textContent = 'Copied'; setTimeout(() => { button.textContent = 'Copy'; }, 1500); };
  const select = () => { getSelection().selectAllChildren(pre); };
  if (navigator.clipboard) navigator.clipboard.writeText(pre.textContent).then(done, select);
  else select();
}
