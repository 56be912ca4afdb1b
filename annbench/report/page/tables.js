// Tables. Names come from strangers' configs: they are only ever set as text.

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  node.append(...children);
  return node;
}

const swatches = new Map([...document.querySelectorAll('#filter-algorithms label')].map(label =>
  [label.querySelector('input').value, label.querySelector('svg')]));

function nameParts(point) {
  return [swatches.get(point.algorithm).cloneNode(true), element('strong', {}, point.algorithm), ' '];
}

function useCell(point, asFastest) {
  const configuration = element('span', { class: 'configuration' }, asFastest ? 'the fastest' : point.configuration);
  const yaml = element('details', { class: 'yaml' }, element('summary', {}, 'YAML'),
    element('button', { type: 'button', class: 'copy' }, 'Copy'),
    element('pre', { tabindex: '0' }, point.yaml.map(text).join('\n')));
  return element('td', { class: 'use' }, ...nameParts(point), ...(asFastest ? [] : [yaml, ' ']), configuration);
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

function answerRow(found, target, wish, fastest) {
  const row = element('tr', { 'data-answer': '' });
  if (found === fastest) row.append(element('th',
    { scope: 'rowgroup', rowspan: data.wishes.length, class: 'target' }, '≥ ' + target.toFixed(2)));
  row.append(element('th', { scope: 'row', class: 'wish' }, wish.text));
  if (found.point) row.append(useCell(found.point, found !== fastest && found.point === fastest.point), ...figureCells(found.point));
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
    const bodies = data.targets.map(target => {
      const found = data.wishes.map(wish => answer(candidates, wish, target));
      return element('tbody', {}, ...found.map((one, i) => answerRow(one, target, data.wishes[i], found[0])));
    });
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
  const budget = document.getElementById('filter-budget').value;
  for (const row of document.querySelectorAll('tr[data-algorithm], tr[data-dataset]')) {
    const { algorithm, dataset, mode } = row.dataset;
    const outOfBudget = row.dataset.budget !== undefined && row.dataset.budget !== budget;
    // An algorithm of which every point failed has no box to tick.
    const unticked = algorithm !== undefined && swatches.has(algorithm) && !filter.algorithms.has(algorithm);
    const elsewhere = (filter.dataset && dataset !== undefined && dataset !== filter.dataset) ||
      (filter.mode && mode !== undefined && mode !== filter.mode);
    row.hidden = Boolean(outOfBudget || unticked || elsewhere);
  }
  for (const block of document.querySelectorAll('#query-sets .shift')) {
    block.hidden = [...block.querySelectorAll('tbody tr')].every(row => row.hidden);
  }
}

const MOST_ROWS = 500;

function showPoints(chosen, onFronts, showsAll) {
  const rows = chosen.filter(point => showsAll || onFronts.has(point)).sort((a, b) => b.qps - a.qps);
  const kept = rows.slice(0, MOST_ROWS);
  document.getElementById('points-body').replaceChildren(...kept.map(point =>
    element('tr', {}, element('td', { class: 'use' }, ...nameParts(point),
      element('span', { class: 'configuration' }, point.configuration)), ...figureCells(point))));
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
