// The page of the local stack: it listens to what happens and shows it.
import { count, duration, element, keep, mark, remaining, setText, timeOfDay } from './element.js';
import * as attempts from './attempts.js';
import * as gates from './gates.js';
import * as machine from './machine.js';
import * as send from './send.js';
import * as settings from './settings.js';

const byId = (id) => document.getElementById(id);
const emptyOf = (id) => byId(id).closest('section').querySelector('.empty');

const state = {
  machines: [],
  executions: new Map(), // by name, in the order in which they started
  requests: new Map(), // by id
  records: [],
  gates: [],
  metrics: [],
  upstream: undefined,
  selected: undefined, // name of an execution
  followed: true, // the newest one is selected
};

// Old executions are forgotten, as the console forgets them.
const maxExecutions = 200;
const maxRequests = 50;

function announce(text) {
  setText(byId('announcement'), text);
}

// --- what comes in

let source;

// listen opens the stream of events. It begins with everything, so that nothing has to be caught up with.
function listen() {
  source?.close();
  source = new EventSource('events');
  const on = (name, take) => source.addEventListener(name, (event) => {
    take(JSON.parse(event.data));
    draw();
  });
  source.addEventListener('open', () => connection('live'));
  source.addEventListener('error', () => connection('not connected; trying again'));
  on('snapshot', async (all) => {
    state.executions = new Map(all.executions.reverse().map((execution) => [execution.name, execution]));
    state.requests = new Map(all.requests.reverse().map((request) => [request.id, request]));
    state.records = all.records;
    state.gates = all.gates;
    state.metrics = all.metrics;
    takeUpstream(all.upstream);
    follow();
  });
  on('execution', (execution) => {
    const isNew = !state.executions.has(execution.name);
    state.executions.set(execution.name, execution);
    if (state.executions.size > maxExecutions) state.executions.delete(state.executions.keys().next().value);
    if (isNew) follow();
    if (execution.name === state.selected && execution.status !== 'RUNNING') loadHistory();
  });
  on('request', (request) => {
    state.requests.set(request.id, request);
    if (state.requests.size > maxRequests) state.requests.delete(state.requests.keys().next().value);
    if (request.answers.length === request.copies) send.complete(request);
  });
  on('records', (records) => { state.records = records; });
  on('gates', (list) => { state.gates = list; });
  on('metrics', (list) => { state.metrics = list; });
  on('upstream', takeUpstream);
}

function connection(text) {
  setText(byId('connection'), text);
  byId('connection').classList.toggle('live', text === 'live');
}

async function loadDefinition() {
  const response = await fetch('definition');
  const { stateMachines, speed } = await response.json();
  state.machines = stateMachines;
  byId('speed').hidden = speed === 1;
  setText(byId('speed'), `waits pass ${speed} times faster`);
  draw();
}

function takeUpstream(upstream) {
  const before = state.upstream?.settings;
  state.upstream = upstream;
  setText(byId('upstream-url'), upstream.url);
  setText(byId('upstream-calls'), upstream.calls === 1 ? 'once' : count(upstream.calls, 'time'));
  byId('upstream').hidden = !upstream.settings;
  if (!upstream.settings) byId('paths').replaceChildren(); // they are the demo's
  if (upstream.settings) settings.show(byId('settings').elements, upstream.settings, before);
}

// --- which execution is shown

function follow() {
  if (state.followed || !state.executions.has(state.selected)) select([...state.executions.keys()].at(-1));
}

function select(name) {
  if (state.selected === name) return;
  state.selected = name;
  byId('events').replaceChildren();
  loadHistory();
  draw();
}

// show selects an execution that was asked for, and stops following the newest.
function show(name) {
  state.followed = false;
  byId('follow').checked = false;
  select(name);
  announce(byId('request-outcome').textContent);
}

async function loadHistory() {
  const name = state.selected;
  if (!byId('history').open || !name) return;
  const response = await fetch(`executions/${encodeURIComponent(name)}`);
  if (!response.ok || name !== state.selected) return;
  const execution = await response.json();
  const began = new Date(execution.started);
  byId('events').replaceChildren(...(execution.history ?? []).map((event) => element('tr', {},
    element('td', {}, String(event.id)),
    element('td', {}, duration(Math.max(0, new Date(event.timestamp) - began))),
    element('td', {}, event.type, event.error ? `: ${event.error}` : ''),
    element('td', {}, event.state ?? event.resource ?? ''))));
}

// --- drawing

function draw() {
  const now = Date.now();
  const execution = state.executions.get(state.selected);
  drawRequest(execution, now);
  attempts.draw({ scale: byId('scale'), list: byId('attempts'), empty: emptyOf('attempts') }, execution, now, light);
  drawExecutions(now);
  drawRecords(now);
  gates.draw({ list: byId('gates'), empty: emptyOf('gates'), metrics: byId('metrics') }, state.gates, state.metrics, now);
  send.draw(byId('answers'), emptyOf('answers'), [...state.requests.values()].reverse(), state.executions, show);
}

let drawnMachine; // what the drawing shows, to draw only what has changed

function drawRequest(execution, now) {
  setText(byId('request-title'), execution ? title(execution) : 'No request yet');
  if (execution) setText(byId('request-outcome'), attempts.summary(execution, now));
  const objects = [['The body of the request is', execution?.requestObject], ['The body of the answer is', execution?.answerObject]];
  setText(byId('request-objects'), objects.filter(([, name]) => name).map(([what, name]) => `${what} in the bucket, at ${name}.`).join(' '));
  const shown = state.machines.find((m) => m.name === execution?.stateMachine) ?? state.machines[0];
  if (!shown) return;
  const running = execution?.status === 'RUNNING' ? Math.floor(now / 250) : 0;
  const key = [shown.name, execution?.name, execution?.visits.length, execution?.attempts.length, execution?.status, running].join(' ');
  if (key === drawnMachine) return;
  drawnMachine = key;
  byId('machine').replaceChildren(machine.draw(shown, execution, now));
  byId('machine-path').replaceChildren(...(execution ? ['The way it took: ', element('span', {}, execution.visits.map((visit) => visit.state).join(' → '))] : []));
}

function title(execution) {
  return execution.method ? `${execution.method} ${execution.path}` : `Execution ${execution.name}`;
}

// light shows in the state machine where an attempt was made.
function light(number) {
  const execution = state.executions.get(state.selected);
  const visited = execution?.visits.find((visit) => visit.attempt === number)?.state;
  for (const shape of byId('machine').querySelectorAll('.state')) {
    shape.classList.toggle('lit', number > 0 && shape.dataset.state === visited);
  }
}

function drawExecutions(now) {
  const list = [...state.executions.values()].reverse();
  emptyOf('executions').hidden = list.length > 0;
  keep(byId('executions'), list, (execution) => execution.name, makeExecution, (item, execution) => {
    const [button] = item.children;
    const [marked, request, facts] = button.children;
    const { kind, text } = attempts.end(execution);
    button.setAttribute('aria-current', String(execution.name === state.selected));
    if (marked.dataset.text !== text) {
      marked.dataset.text = text;
      marked.className = `marked ${kind}`;
      marked.replaceChildren(mark(kind), text);
    }
    setText(request, title(execution));
    const ended = execution.stopped ? new Date(execution.stopped).getTime() : now;
    setText(facts, [timeOfDay(execution.started), count(execution.attempts.length, 'attempt'), duration(ended - new Date(execution.started)),
      execution.failure && `given up: ${execution.failure}`, execution.record && 'with a key'].filter(Boolean).join(', '));
  });
}

function makeExecution(execution) {
  const button = element('button', { type: 'button', class: 'row' },
    element('span', { class: 'marked' }), element('span', { class: 'title' }), element('span', { class: 'facts' }));
  button.addEventListener('click', () => show(execution.name));
  return element('li', {}, button);
}

const recordMarks = { 'in progress': 'running', completed: 'good', released: 'free', expired: 'free' };

function drawRecords(now) {
  emptyOf('records').hidden = state.records.length > 0;
  keep(byId('records'), state.records, (record) => record.id, makeRecord, (item, record) => {
    const [marked, id, facts] = item.children;
    if (marked.dataset.state !== record.state) {
      marked.dataset.state = record.state;
      marked.className = `marked ${recordMarks[record.state]}`;
      marked.replaceChildren(mark(recordMarks[record.state]), record.state);
    }
    setText(id, record.id.split('#').at(-1).slice(0, 12));
    id.title = record.id;
    setText(facts, recordFacts(record, now));
  });
}

function recordFacts(record, now) {
  const left = (time) => remaining(new Date(time) - now);
  switch (record.state) {
    case 'in progress': return record.leaseEnd ? `locked for ${left(record.leaseEnd)} at most` : `locked for ${left(record.expiration)}`;
    case 'completed': return `${record.hasResult ? 'its answer' : 'no answer, and'} is kept for ${left(record.expiration)}`.replace('and is kept', 'kept as such');
    case 'released': return 'nothing settled; the key is free';
    default: return 'over; the key is free';
  }
}

function makeRecord() {
  return element('li', {}, element('span', { class: 'marked' }), element('code'), element('span', { class: 'facts' }));
}

// --- the demo upstream

function prepareSettings() {
  const form = byId('settings');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    setText(byId('settings-error'), '');
    setText(byId('settings-done'), '');
    const wrong = [...form.elements].find((input) => !input.checkValidity());
    if (wrong) {
      setText(byId('settings-error'), `${wrong.closest('label').textContent.trim()}: ${wrong.validationMessage}`);
      return wrong.focus();
    }
    try {
      takeUpstream(await send.change('PUT', 'upstream', settings.read(form.elements)));
      setText(byId('settings-done'), 'Changed.');
    } catch (problem) {
      setText(byId('settings-error'), problem.message);
    }
  });
  form.addEventListener('input', () => setText(byId('settings-done'), ''));
}

// --- the beginning

setText(byId('origin'), location.origin);
send.prepare(announce);
prepareSettings();
byId('follow').addEventListener('change', (event) => {
  state.followed = event.target.checked;
  if (state.followed) follow();
});
byId('history').addEventListener('toggle', loadHistory);

// A hidden page does not listen: a browser grants few connections to one address, and other pages may want them.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') return listen();
  source.close();
  connection('asleep');
});
// What runs or counts down goes on between events.
const tick = 250; // milliseconds
setInterval(() => {
  if (document.visibilityState === 'visible') draw();
}, tick);

loadDefinition();
listen();
