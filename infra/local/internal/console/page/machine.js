// Drawing the state machine, and the way that an execution took through it.
import { drawn, remaining } from './element.js';

// Sizes in the drawing's own units. It is as wide as three states and some lanes, so that it fits a phone.
const node = { width: 92, height: 42 };
const columns = [22, 134, 246]; // left edges: waits, proxies, checks
const lanes = { back: 8, good: 350, bad: 363 };
const width = 371;
const pitch = 78; // from one row to the next
const top = 46; // of the first row
const gap = 18; // below a row, to the line that leads on

// More proxies than this are drawn only as far as they were used.
const shownWhole = 5;

// drawnOnly leaves out the states that only pass on, and the choices that are not about what a proxy said: what leads to one
// of them is drawn as leading to what comes after it. It returns the states that are drawn, and the names of all others.
export function drawnOnly(machine) {
  const calls = (state) => state.resource === 'lambda:invoke';
  const checks = new Set(machine.states.filter(calls).flatMap((state) => state.transitions.map((way) => way.to)));
  const left = new Set(machine.states.filter((state) => state.type === 'Pass' || (state.type === 'Choice' && !checks.has(state.name))).map((state) => state.name));
  const waysOf = (name) => machine.states.find((state) => state.name === name).transitions;
  const past = (way, passed = []) => {
    if (!left.has(way.to)) return [way];
    if (passed.includes(way.to)) return []; // they lead round in a circle
    return waysOf(way.to).flatMap((next) => past({ ...way, to: next.to }, [...passed, way.to]));
  };
  const states = machine.states.filter((state) => !left.has(state.name)).map((state) => ({ ...state, transitions: state.transitions.flatMap((way) => past(way)) }));
  return { states, left };
}

// endKind is what an end means: a request that was given up ends in a state called Failed, which is no Fail state. It is
// undefined for all other states.
function endKind(state) {
  if (state.type === 'Fail' || (state.type === 'Succeed' && state.name === 'Failed')) return 'fail';
  return state.type === 'Succeed' ? 'succeed' : undefined;
}

// parts sorts the states of a definition: the ring of proxies, each with its check and its wait, and the rest.
export function parts(machine) {
  const { states: all, left } = drawnOnly(machine);
  const states = new Map(all.map((state) => [state.name, state]));
  const calls = (name) => states.get(name)?.resource === 'lambda:invoke';
  const ring = [];
  const start = left.has(machine.startAt) ? machine.states.find((state) => state.name === machine.startAt).transitions.at(-1)?.to : machine.startAt;
  for (let name = start; calls(name) && !ring.some((row) => row.proxy === name);) {
    const check = states.get(name).transitions.find((way) => !way.catch)?.to;
    const ways = states.get(check)?.transitions.map((way) => way.to) ?? [];
    const wait = ways.find((to) => states.get(to).type === 'Wait');
    ring.push({ proxy: name, check, wait });
    name = ways.find(calls) ?? states.get(wait)?.transitions[0]?.to;
  }
  const inRing = new Set(ring.flatMap((row) => [row.proxy, row.check, row.wait]));
  const leadsTo = (name, kind) => endKind(states.get(name)) === kind || states.get(name).transitions.some((way) => endKind(states.get(way.to)) === kind);
  const rest = all.map((state) => state.name).filter((name) => !inRing.has(name));
  const bad = rest.filter((name) => leadsTo(name, 'fail'));
  const good = rest.filter((name) => !bad.includes(name) && leadsTo(name, 'succeed'));
  const other = rest.filter((name) => !good.includes(name) && !bad.includes(name));
  const lastFirst = (names) => names.sort((a, b) => states.get(a).transitions.length - states.get(b).transitions.length);
  return { states, left, ring, good: lastFirst(good), bad: lastFirst(bad), other };
}

// rows says which rows of the ring are drawn: all of a small one, and of a large one those around the visited ones, with
// the others folded.
function rows(ring, visited) {
  if (ring.length <= shownWhole) return ring.map((row) => ({ ...row }));
  const shown = ring.map((row, i) => i < 2 || i === ring.length - 1 || [row.proxy, row.check, row.wait].some((name) => visited.has(name)));
  const list = [];
  ring.forEach((row, i) => {
    if (shown[i]) return list.push({ ...row });
    const last = list.at(-1);
    if (last?.folded) last.folded.push(row);
    else list.push({ folded: [row] });
  });
  return list.flatMap((row) => (row.folded?.length === 1 ? row.folded : [row]));
}

// draw draws a machine with the way that an execution took, if there is one.
export function draw(machine, execution, now) {
  const { states, left, ring: whole, good, bad, other } = parts(machine);
  const visits = (execution?.visits ?? []).filter((visit) => !left.has(visit.state));
  // The proxy that made the first attempt stands on top.
  const began = Math.max(0, whole.findIndex((row) => row.proxy === visits[0]?.state));
  const ring = [...whole.slice(began), ...whole.slice(0, began)];
  const times = new Map();
  for (const visit of visits) times.set(visit.state, [...(times.get(visit.state) ?? []), visit]);
  const list = rows(ring, new Set(times.keys()));

  const place = new Map(); // of states: left and top edges
  const standIn = new Map(); // for states in a fold: the fold
  const shapes = [];
  list.forEach((row, i) => {
    const y = top + i * pitch;
    const before = list.at(i - 1);
    if (row.folded) {
      row.name = `fold-${row.folded[0].proxy}`;
      place.set(row.name, { x: columns[0], y, width: columns[2] + node.width - columns[0] });
      for (const inside of row.folded) for (const name of [inside.proxy, inside.check, inside.wait]) standIn.set(name, row.name);
    } else {
      place.set(row.proxy, { x: columns[1], y });
      place.set(row.check, { x: columns[2], y });
    }
    // The wait before a proxy stands to its left; it belongs to the check of the row before.
    const wait = before.folded ? before.folded.at(-1).wait : before.wait;
    if (wait === undefined) return;
    if (row.folded) return standIn.set(wait, row.name);
    place.set(wait, { x: columns[0], y });
    standIn.delete(wait);
  });
  const bottom = top + list.length * pitch;
  const tail = [good, bad];
  tail.forEach((names, i) => names.slice(0, 2).forEach((name, j) => place.set(name, { x: columns[j], y: bottom + 14 + i * 66 })));
  other.concat(good.slice(2), bad.slice(2)).forEach((name, i) => place.set(name, { x: columns[i % 3], y: bottom + 146 + Math.floor(i / 3) * 60 }));
  const extra = Math.ceil((other.length + Math.max(0, good.length - 2) + Math.max(0, bad.length - 2)) / 3);
  const height = bottom + 134 + extra * 60;

  const taken = new Map(); // transitions: how often
  visits.forEach((visit, i) => {
    if (i === 0) return;
    const way = `${visits[i - 1].state} ${visit.state}`;
    taken.set(way, (taken.get(way) ?? 0) + 1);
  });
  const current = execution?.status === 'RUNNING' ? visits.at(-1)?.state : undefined;

  const router = { place, list, good, bad, bottom };
  const ways = new Map();
  const add = (from, to, way) => {
    const [a, b] = [standIn.get(from) ?? from, standIn.get(to) ?? to];
    if (a === b || !place.has(a) || !place.has(b)) return;
    const key = `${a} ${b}`;
    const used = taken.has(`${from} ${to}`) || ways.get(key)?.used;
    ways.set(key, { path: route(a, b, router), used, when: way?.when });
  };
  for (const state of states.values()) for (const way of state.transitions) add(state.name, way.to, way);
  const drawWay = (way) => drawn('path', { class: way.used ? 'way taken' : 'way', d: way.path, 'marker-end': `url(#${way.used ? 'tip-taken' : 'tip'})` });
  const all = [...ways.values()];
  shapes.push(...all.filter((way) => !way.used).map(drawWay), ...all.filter((way) => way.used).map(drawWay));

  const first = place.get(ring[0]?.proxy);
  if (first) {
    const x = first.x + node.width / 2 + 22;
    const used = visits.length > 0;
    shapes.push(
      drawn('circle', { class: used ? 'start taken' : 'start', cx: x, cy: 9, r: 5 }),
      drawn('path', { class: used ? 'way taken' : 'way', d: `M${x} 14V${first.y - 2}`, 'marker-end': `url(#${used ? 'tip-taken' : 'tip'})` }),
      drawn('text', { class: 'label', x: x + 12, y: 13 }, 'a request comes in'),
    );
  }
  if (ring.length > 0) {
    const second = top + (list.length > 1 ? pitch : 0) - 6;
    shapes.push(
      drawn('text', { class: 'label', x: columns[0] + node.width / 2 + 6, y: second - 1 }, 'wait'),
      drawn('text', { class: 'label', x: columns[1] + node.width / 2 - 6, y: second - 1, 'text-anchor': 'end' }, 'at once'),
    );
  }
  if (good.length > 0) shapes.push(drawn('text', { class: 'label', x: columns[2] + node.width, y: bottom + 28, 'text-anchor': 'end' }, 'final answer'));
  if (bad.length > 0) shapes.push(drawn('text', { class: 'label', x: columns[2] + node.width, y: bottom + 94, 'text-anchor': 'end' }, 'given up'));

  for (const [name, at] of place) {
    if (states.has(name)) shapes.push(drawState(states.get(name), at, times.get(name) ?? [], name === current, execution, now));
  }
  for (const row of list) if (row.folded) shapes.push(drawFold(row, place.get(row.name)));

  return drawn('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `State machine ${machine.name}` },
    drawn('defs', {}, tip('tip'), tip('tip-taken')), ...shapes);
}

function tip(id) {
  return drawn('marker', { id, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: 'userSpaceOnUse', orient: 'auto' },
    drawn('path', { d: 'M0 .6 7.4 4 0 7.4Z', class: id }));
}

// route lays the line of a transition. What leads on from a check runs below its row; what leads to an end runs down on
// the right.
function route(from, to, { place, list, good, bad, bottom }) {
  const [a, b] = [place.get(from), place.get(to)];
  const wide = (at) => at.width ?? node.width;
  const middle = node.height / 2;
  const row = list.findIndex((r) => r.check === from || r.name === from);
  const target = list.findIndex((r) => r.proxy === to || r.name === to);

  for (const [ends, lane, offset] of [[good, lanes.good, -6], [bad, lanes.bad, 6]]) {
    if (!ends.includes(to)) continue;
    if (ends.includes(from)) return `M${a.x} ${a.y + middle}H${b.x + wide(b) + 2}`;
    const start = `M${a.x + wide(a) - (a.width ? 0 : 8)} ${a.y + middle + offset}H${lane}`;
    const direct = ends.indexOf(to) === ends.length - 1; // the nearest one
    if (direct) return `${start}V${b.y + middle}H${b.x + wide(b) + 2}`;
    return `${start}V${b.y + node.height + 10}H${b.x + wide(b) / 2}V${b.y + node.height + 2}`; // beneath the state that it passes by
  }
  if (row >= 0) { // on to another proxy, at once or after a wait
    const x = a.x + wide(a) - node.width / 2;
    const under = a.y + node.height + gap;
    const down = b.x + (b.width ? columns[1] - columns[0] : 0) + node.width / 2;
    const forward = b.y > a.y;
    if (forward) return `M${x} ${a.y + node.height}V${under}H${down}V${b.y - 2}`;
    return `M${x} ${a.y + node.height}V${under}H${lanes.back}V${top - gap}H${down}V${b.y - 2}`;
  }
  if (target >= 0 && a.y === b.y) return `M${a.x + wide(a)} ${a.y + middle}H${b.x - 2}`; // from a wait
  if (a.y === b.y && b.x > a.x) return `M${a.x + wide(a)} ${a.y + middle}H${b.x - 2}`; // from a proxy to its check
  return `M${a.x + wide(a) / 2} ${a.y + node.height}L${b.x + wide(b) / 2} ${b.y - 2}`;
}

// drawState draws a state: tasks as boxes, choices with points, waits and ends rounded.
function drawState(state, { x, y }, visits, isCurrent, execution, now) {
  const [w, h] = [node.width, node.height];
  const task = { x, y, width: w, height: h };
  const outline = {
    Choice: () => drawn('path', { d: `M${x} ${y + h / 2}L${x + 13} ${y}H${x + w - 13}L${x + w} ${y + h / 2}L${x + w - 13} ${y + h}H${x + 13}Z` }),
    Wait: () => drawn('rect', { ...task, rx: h / 2 }),
    Succeed: () => drawn('rect', { ...task, rx: h / 2 }),
    Fail: () => drawn('rect', { ...task, rx: h / 2 }),
  }[state.type] ?? (() => drawn('rect', { ...task, rx: 5 }));
  const below = detail(state, visits, isCurrent, execution, now);
  const center = x + w / 2;
  const classes = ['state', endKind(state) ?? state.type.toLowerCase(), visits.length > 0 && 'visited', isCurrent && 'current'].filter(Boolean).join(' ');
  const shape = drawn('g', { class: classes, 'data-state': state.name }, outline(),
    drawn('text', { class: 'name', x: center, y: y + (below ? 18 : 26) }, state.name));
  if (below) shape.append(drawn('text', { class: 'detail', x: center, y: y + 33 }, below));
  shape.append(drawn('title', {}, [state.name, state.comment, state.resource && `calls ${state.resource}`].filter(Boolean).join('\n')));
  return shape;
}

// detail is what happened in a state, in a word.
function detail(state, visits, isCurrent, execution, now) {
  const last = visits.at(-1);
  if (!last) return '';
  if (state.type === 'Wait') {
    if (isCurrent && last.until) return `${remaining(new Date(last.until) - now)} left`;
    return visits.map((visit) => `${visit.waitSeconds ?? 0} s`).slice(-2).join(', ');
  }
  if (isCurrent) return state.resource === 'lambda:invoke' ? 'asking' : 'now';
  if (state.resource === 'lambda:invoke') {
    const results = visits.filter((visit) => visit.attempt).map((visit) => {
      const attempt = execution.attempts[visit.attempt - 1];
      return attempt.status ? String(attempt.status) : 'no answer';
    });
    return results.slice(-2).join(', ');
  }
  if (last.failures) return 'failed';
  if (endKind(state)) return execution.statusCode ? `with ${execution.statusCode}` : '';
  return '';
}

function drawFold(row, { x, y, width: wide }) {
  const [first, last] = [row.folded[0].proxy, row.folded.at(-1).proxy];
  return drawn('g', { class: 'fold' },
    drawn('rect', { x, y, width: wide, height: node.height, rx: 5 }),
    drawn('text', { x: x + wide / 2, y: y + 26 }, `${first} to ${last}: not used`));
}
