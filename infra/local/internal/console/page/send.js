// The form that sends requests, and the answers to them.
import { count, duration, element, keep, mark, setText, timeOfDay } from './element.js';
import { statusText } from './attempts.js';

// What httpbin, the demo upstream, can be asked.
const demoPaths = {
  '/anything': 'tells back what it was sent', '/get': 'tells back a GET', '/post': 'tells back a POST', '/uuid': 'another one each time',
  '/status/404': 'a final answer, not tried again', '/status/500': 'tried again, and fails each time', '/delay/3': 'takes three seconds',
  '/bytes/100': 'not text', '/redirect-to?url=/get': 'redirects are answers, too', '/unstable?failure_rate=0.5': 'fails half of the time',
};

let form;
let last; // what was sent last
let etag; // of the last answer that had one
let announce;

// change asks the console for something that changes something, and throws what it says against it.
export async function change(method, path, value) {
  const response = await fetch(path, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

// prepare makes the form work.
export function prepare(say) {
  announce = say;
  form = document.getElementById('send');
  document.getElementById('paths').append(...Object.entries(demoPaths).map(([path, what]) => element('option', { value: path }, what)));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send({ ...read(), copies: Number(event.submitter?.dataset.copies ?? 1) });
  });
  document.getElementById('new-key').addEventListener('click', () => {
    form.elements.key.value = newKey();
    announce(`The key is ${form.elements.key.value}`);
  });
  document.getElementById('again').addEventListener('click', () => send({ ...last, copies: 1 }));
  document.getElementById('if-none-match').addEventListener('click', () => {
    const headers = last.headers.filter((field) => field.name.toLowerCase() !== 'if-none-match');
    send({ ...last, copies: 1, headers: [...headers, { name: 'If-None-Match', value: etag }] });
  });
}

function newKey() {
  const random = crypto.getRandomValues(new Uint32Array(1))[0];
  return `order-${random.toString(36).padStart(7, '0').slice(-6)}`;
}

// read reads the form.
function read() {
  const { method, path, key, headers, body } = form.elements;
  const fields = headers.value.split('\n').filter((line) => line.trim() !== '').map((line) => {
    const colon = line.indexOf(':');
    if (colon < 0) return { name: line.trim(), value: '' };
    return { name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() };
  });
  if (key.value.trim() !== '') fields.push({ name: 'Idempotency-Key', value: key.value.trim() });
  if (body.value !== '' && !fields.some((field) => field.name.toLowerCase() === 'content-type')) {
    fields.push({ name: 'Content-Type', value: looksLikeJSON(body.value) ? 'application/json' : 'text/plain; charset=utf-8' });
  }
  return { method: method.value, path: path.value.trim(), headers: fields, body: body.value };
}

function looksLikeJSON(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function send(what) {
  const error = document.getElementById('send-error');
  error.textContent = '';
  try {
    await change('POST', 'requests', what);
  } catch (problem) {
    error.textContent = problem.message;
    return;
  }
  last = { ...what, headers: what.headers.filter((field) => field.name !== 'If-None-Match') };
  if (what.headers.some((field) => field.name === 'Idempotency-Key') === false) etag = undefined;
  enable();
}

function enable() {
  document.getElementById('again').disabled = !last;
  document.getElementById('if-none-match').disabled = !last || !etag;
}

// complete takes note of a request that all answers have come to.
export function complete(request) {
  const tagged = request.answers.findLast((answer) => answer.etag);
  if (tagged) etag = tagged.etag;
  enable();
  announce(`${request.method} ${request.path}: ${tell(request)}`);
}

// tell says what came of a request.
function tell(request) {
  const { answers, copies } = request;
  const open = copies - answers.length;
  const replays = answers.filter((answer) => answer.replayed).length;
  const unchanged = answers.filter((answer) => answer.status === 304).length;
  const calls = `The upstream was ${['not called', 'called once'][request.upstreamCalls] ?? `called ${request.upstreamCalls} times`}.`;
  if (open > 0) return `${answers.length ? `${count(answers.length, 'answer')}. ` : ''}Waiting for ${count(open, 'answer')}.`;
  if (copies === 1) {
    const how = unchanged ? 'Not modified: what the caller has is still right.' : replays ? 'A replay of the first answer.' : '';
    return `${how} ${calls}`.trim();
  }
  return `${answers.length} answers, ${count(replays, 'replay')} among them. ${calls}`;
}

// draw lists the requests that were sent, with their answers. show is told the name of an execution to look at.
export function draw(list, empty, requests, executions, show) {
  empty.hidden = requests.length > 0;
  keep(list, requests, (request) => request.id, make, (item, request) => update(item, request, executions, show));
}

function make() {
  return element('li', {},
    element('p', { class: 'asked' }, element('code'), element('span', { class: 'copies' }), element('time')),
    element('p', { class: 'given' }),
    element('p', { class: 'tells' }),
    element('ul', { class: 'plain' }));
}

function update(item, request, executions, show) {
  const [asked, given, tells, answers] = item.children;
  setText(asked.children[0], `${request.method} ${request.path}`);
  setText(asked.children[1], request.copies > 1 ? `${request.copies} at once` : '');
  setText(asked.children[2], timeOfDay(request.sent));
  setText(given, [request.key && `Idempotency-Key ${request.key}`, request.ifNoneMatch && `If-None-Match ${request.ifNoneMatch}`].filter(Boolean).join(', '));
  given.hidden = given.textContent === '';
  setText(tells, tell(request));
  keep(answers, alike(request.answers), (group) => group.signature, makeAnswer, (row, group) => updateAnswer(row, group, executions, show));
}

// alike puts answers together that differ in nothing but their time and the id of their request.
function alike(answers) {
  const groups = new Map();
  for (const answer of answers) {
    const signature = [answer.status, answer.error, answer.replayed, answer.serverCacheHit, answer.etag, answer.proxyStatus, answer.bodyBytes].join(' ');
    if (!groups.has(signature)) groups.set(signature, { signature, answers: [] });
    groups.get(signature).answers.push(answer);
  }
  return [...groups.values()];
}

function makeAnswer() {
  const details = element('details', {}, element('summary', {}), element('dl', { class: 'fields' }), element('pre', { tabindex: '0' }));
  return element('li', {}, details);
}

function updateAnswer(row, { answers }, executions, show) {
  const [details] = row.children;
  const [summary, fields, body] = details.children;
  if (details.dataset.count === String(answers.length) && details.dataset.linked) return;
  details.dataset.count = answers.length;
  const answer = answers[0];
  const kind = answer.status === 304 ? 'same' : answer.replayed ? 'replay' : answer.status && answer.status < 400 ? 'good' : 'bad';
  const times = answers.map((a) => a.durationMilliseconds);
  const took = [...new Set([duration(Math.min(...times)), duration(Math.max(...times))])].join(' to ');
  const words = [
    answer.replayed ? 'replay' : answer.error ? 'no answer' : 'carried out',
    answer.serverCacheHit && 'serverCacheHit',
    took,
  ].filter(Boolean).join(', ');
  summary.replaceChildren(
    element('span', { class: `marked ${kind}` }, mark(kind), answer.status ? statusText(answer.status) : 'failed'),
    element('span', { class: 'words' }, `${answers.length > 1 ? `${answers.length} × ` : ''}${words}`));

  const lines = [
    ['Proxy-Status', answer.proxyStatus && answer.proxyStatus.split(', ').join('\n')],
    ['ETag', answer.etag],
    ['Error', answer.error],
    ...answer.headers.filter((field) => !['Proxy-Status', 'Etag'].includes(field.name)).map((field) => [field.name, field.value]),
  ].filter(([, value]) => value);
  fields.replaceChildren(...lines.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))));
  const execution = executions.get(answer.requestId);
  if (execution) {
    details.dataset.linked = 'yes';
    const button = element('button', { type: 'button', class: 'link' }, 'Show how the answer was made');
    button.addEventListener('click', () => show(execution.name));
    fields.prepend(element('div', {}, element('dt', {}, 'Execution'), element('dd', {}, button)));
  }
  if (answer.replayed || answer.error) details.dataset.linked = 'none';
  body.textContent = answer.body ?? (answer.bodyBytes ? `${count(answer.bodyBytes, 'byte')} that are not text` : 'no body');
}
