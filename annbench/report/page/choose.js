// What the filters leave, its fronts and its answers. Nothing here touches the page.

const data = JSON.parse(document.getElementById('data').textContent);
const columns = data.points;
const text = place => data.texts[place];
const count = (columns.setting || []).length;
const points = Array.from({ length: count }, (_, i) => {
  const point = {};
  for (const name in columns) point[name] = columns[name][i];
  for (const name of data.textColumns) point[name] = text(point[name]);
  return point;
});

/** Whether `point` passes `filter` {algorithms: Set, budget: number|null}. An index of unknown size fits no budget. */
function passes(point, filter) {
  if (!filter.algorithms.has(point.algorithm)) return false;
  return filter.budget === null || (point.ratio !== null && point.ratio <= filter.budget);
}

/** Settings (their numbers) of the chosen dataset and mode. */
function chosenSettings(filter) {
  return data.settings.map((_, i) => i).filter(i =>
    (!filter.dataset || data.settings[i].dataset === filter.dataset) &&
    (!filter.mode || data.settings[i].mode === filter.mode));
}

/** The Pareto front of `candidates` on `axis`, by rising recall: the same rule as compare/frontier.py. */
function front(candidates, axis) {
  const cost = point => -axis.better * point[axis.name];
  const order = candidates.filter(point => point[axis.name] !== null)
    .sort((a, b) => b.recall - a.recall || cost(a) - cost(b));
  let best = Infinity;
  return order.filter(point => cost(point) < best && ((best = cost(point)), true)).reverse();
}

/** The answer to `wish` at recall `target` among `candidates`: {point} or {miss}; the same rule as report/answer.py. */
function answer(candidates, wish, target) {
  const reached = point => point.recall >= target - data.tolerance;
  const within = point => wish.budget === null || (point.ratio !== null && point.ratio <= wish.budget);
  const size = point => point.ratio === null ? Infinity : point.ratio;
  const first = (list, better) => list.reduce((a, b) => (a === null || better(b, a) ? b : a), null);
  const smaller = (a, b) => size(a) < size(b) || (size(a) === size(b) && a.qps > b.qps);
  const faster = (a, b) => a.qps > b.qps || (a.qps === b.qps && size(a) < size(b));
  const fits = candidates.filter(p => reached(p) && within(p) && (!wish.bySize || p.ratio !== null));
  if (fits.length) return { point: first(fits, wish.bySize ? smaller : faster) };
  const higher = (a, b) => a.recall > b.recall;
  const inside = candidates.filter(within);
  if (inside.length) return { miss: first(inside, higher) };
  const large = candidates.filter(p => reached(p) && p.ratio !== null);
  return { miss: large.length ? first(large, (a, b) => a.ratio < b.ratio) : first(candidates, higher) };
}
