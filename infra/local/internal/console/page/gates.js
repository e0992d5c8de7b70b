// The items of the gate, and what the functions have measured of it.
import { count, duration, element, keep, mark, remaining, setText } from './element.js';

const circuitMarks = { closed: 'free', open: 'bad', closing: 'again' };

// draw lists the items, and the metrics below them.
export function draw({ list, empty, metrics }, gates, measured, now) {
  empty.hidden = gates.length + measured.length > 0;
  keep(list, gates, (gate) => gate.id, make, (item, gate) => update(item, gate, now));
  keep(metrics, measured, (metric) => [metric.namespace, metric.name, JSON.stringify(metric.dimensions)], makeMetric, (row, metric) => {
    setText(row.children[0], [metric.name, ...Object.values(metric.dimensions ?? {})].join(', '));
    setText(row.children[1], told(metric));
  });
}

function make() {
  return element('li', {}, element('span', { class: 'marked' }), element('code'), element('span', { class: 'facts' }));
}

function update(item, gate, now) {
  const [marked, scope, facts] = item.children;
  const kind = gate.circuit === 'closed' && gate.active ? 'running' : circuitMarks[gate.circuit];
  const text = gate.circuit === 'closed' ? (gate.active ? 'queue' : 'at rest') : `circuit ${gate.circuit}`;
  if (marked.dataset.text !== text) {
    marked.dataset.text = text;
    marked.className = `marked ${kind}`;
    marked.replaceChildren(mark(kind), text);
  }
  setText(scope, nameOf(gate));
  scope.title = gate.id;
  setText(facts, factsOf(gate, now));
}

// nameOf is the scope for people: a digest in short, and the route as it is.
function nameOf(gate) {
  let scope = gate.scope.replace(/[0-9a-f]{32}/g, (digest) => digest.slice(0, 8));
  try {
    scope = decodeURIComponent(scope);
  } catch { /* a route that somebody has named so */ }
  return gate.shard > 0 ? `${scope} #${gate.shard}` : scope;
}

function factsOf(gate, now) {
  const left = (time) => new Date(time) - now;
  return [
    gate.circuit === 'closed' && 'circuit closed',
    gate.perSecond ? `${Number(gate.perSecond.toFixed(2))} per second` : gate.active && gate.circuit !== 'open' && 'rate not known',
    `${count(gate.waiting, 'ticket')} waiting of ${gate.tickets}`,
    gate.heldUntil && left(gate.heldUntil) > 0 && `nobody calls for ${remaining(left(gate.heldUntil))}`,
    gate.activeUntil && left(gate.activeUntil) > 0 && `active for ${remaining(left(gate.activeUntil))}`,
    gate.limitedBy && `the limit is by ${gate.limitedBy}`,
  ].filter(Boolean).join(', ');
}

function makeMetric() {
  return element('div', {}, element('dt'), element('dd'));
}

const circuits = { 0: 'closed', 0.5: 'closing', 1: 'open' };

// told writes a metric: its last value, and what has come together.
function told({ name, unit, last, sum, count: times }) {
  const value = (n) => {
    if (unit === 'Milliseconds') return duration(n);
    return `${Number(n.toFixed(2))}${unit === 'Count/Second' ? ' per second' : ''}`;
  };
  if (name === 'CircuitState') return circuits[last] ?? String(last);
  if (unit === 'Count') return `${value(sum)} in all`;
  return times === 1 ? value(last) : `${value(last)}, ${value(sum / times)} on average of ${times}`;
}
