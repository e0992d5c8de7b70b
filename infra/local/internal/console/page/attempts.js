// Drawing the attempts of an execution, and the waits between them, along the time that they took.
import { count, drawn, duration, element, keep, mark, setText } from './element.js';

const phrases = {
  200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 301: 'Moved Permanently', 302: 'Found', 304: 'Not Modified',
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 408: 'Request Timeout',
  409: 'Conflict', 413: 'Content Too Large', 418: "I'm a teapot", 422: 'Unprocessable Content', 425: 'Too Early', 429: 'Too Many Requests',
  500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout', 508: 'Loop Detected',
};

// statusText writes a status with its phrase.
export function statusText(status) {
  return phrases[status] ? `${status} ${phrases[status]}` : String(status);
}

// result is what came of an attempt, in few words.
export function result(attempt) {
  if (!attempt.status) return (attempt.error ?? 'no answer').replaceAll('_', ' ');
  return statusText(attempt.status) + (attempt.error ? ` (${attempt.error.replaceAll('_', ' ')})` : '');
}

// end says how an execution is or was, with the kind of its mark.
export function end(execution) {
  if (execution.status === 'RUNNING') return { kind: 'running', text: 'running' };
  const succeeded = execution.status === 'SUCCEEDED' && !execution.failure;
  const text = String(execution.statusCode ?? (succeeded ? 'ended' : 'failed'));
  return { kind: succeeded && !(execution.statusCode >= 400) ? 'good' : 'bad', text };
}

// kind is which mark an attempt gets: the last one that was final, or one that was followed by another.
function kind(execution, number) {
  if (number < execution.attempts.length || execution.status === 'RUNNING') return 'again';
  return end(execution).kind;
}

// steps lists the attempts with their times relative to the start of the execution, in milliseconds, and the one that
// is being made.
function steps(execution, now) {
  const began = new Date(execution.started).getTime();
  const ended = execution.stopped ? new Date(execution.stopped).getTime() : now;
  const list = execution.attempts.map((attempt, i) => {
    const start = attempt.start - began;
    const next = execution.attempts[i + 1];
    const answered = start + (attempt.duration ?? 0);
    const waited = next ? next.start - began : attempt.wait ? ended - began : answered;
    return { number: i + 1, attempt, start, answered, waited };
  });
  const visit = execution.visits.at(-1);
  if (execution.status === 'RUNNING' && visit?.type === 'Task' && visit.state.startsWith('Proxy')) {
    const start = new Date(visit.entered) - began;
    list.push({ number: list.length + 1, proxy: visit.state.toLowerCase(), start, answered: now - began, waited: now - began });
    if (list.length > 1) list.at(-2).waited = start;
  }
  return { list, total: Math.max(1, ended - began) };
}

// draw draws the attempts. light is told the number of the attempt that is pointed at or focused, or zero.
export function draw({ scale, list, empty }, execution, now, light) {
  empty.hidden = Boolean(execution);
  const { list: all, total } = execution ? steps(execution, now) : { list: [], total: 1 };
  drawScale(scale, execution ? total : 0);
  keep(list, all, (step) => `${execution.name} ${step.number}`, (step) => make(step, light), (item, step) => update(item, step, execution, total));
}

function make(step, light) {
  const item = element('li', { tabindex: '0' },
    element('div', { class: 'what' }, element('span', { class: 'marked' }), element('span', { class: 'who' }), element('span', { class: 'took' })),
    drawn('svg', { class: 'track', 'aria-hidden': 'true', preserveAspectRatio: 'none', viewBox: '0 0 1000 14' },
      drawn('rect', { class: 'whole', x: 0, y: 6.5, width: 1000, height: 1 }),
      drawn('rect', { class: 'wait', y: 4, height: 6 }), drawn('rect', { class: 'call', y: 1, height: 12 })),
    element('p', { class: 'why' }));
  for (const [event, number] of [['mouseenter', step.number], ['focus', step.number], ['mouseleave', 0], ['blur', 0]]) {
    item.addEventListener(event, () => light(number));
  }
  return item;
}

function update(item, step, execution, total) {
  const { attempt, number } = step;
  const [what, track, why] = item.children;
  const [marked, who, took] = what.children;
  const which = attempt ? kind(execution, number) : 'running';
  const text = attempt ? result(attempt) : 'asking the upstream';
  if (marked.dataset.kind !== which || marked.textContent !== text) {
    marked.dataset.kind = which;
    marked.className = `marked ${which}`;
    marked.replaceChildren(mark(which), text);
  }
  setText(who, `${number}. ${attempt?.proxy ?? step.proxy}`);
  setText(took, attempt ? `at ${duration(Math.max(0, step.start))}, took ${attempt.duration ? duration(attempt.duration) : 'under 1 ms'}` : `at ${duration(Math.max(0, step.start))}`);
  item.className = which;

  const at = (time) => Math.min(1000, Math.max(0, (time / total) * 1000));
  const least = 6; // an attempt of a millisecond is seen, too
  const [, wait, call] = track.children;
  const left = Math.min(at(step.start), 1000 - least);
  call.setAttribute('x', left);
  call.setAttribute('width', Math.max(least, at(step.answered) - left));
  wait.setAttribute('x', at(step.answered));
  wait.setAttribute('width', Math.max(0, at(step.waited) - at(step.answered)));

  setText(why, attempt ? reason(attempt, number, execution) : '');
}

// reason says what was decided after an attempt and by which rule. The text of the rule begins with the result, which
// stands above it already.
function reason(attempt, number, execution) {
  const details = attempt.details ? `${attempt.details}. ` : '';
  const why = (attempt.why ?? '').replace(/^[^:]*: /, '');
  if (attempt.wait) return `${details}Waits ${duration(attempt.wait)}: ${why}`;
  if (number === execution.attempts.length && why === 'final') return `${details}This is the answer.`;
  if (number === execution.attempts.length && execution.failure) return `${details}Given up: ${why}`;
  return details + why.charAt(0).toUpperCase() + why.slice(1);
}

// drawScale writes times below which the attempts stand.
function drawScale(scale, total) {
  const text = total ? ['0', duration(total / 2), duration(total)] : [];
  if (scale.childElementCount !== text.length) scale.replaceChildren(...text.map((t) => element('span', {}, t)));
  text.forEach((t, i) => setText(scale.children[i], t));
}

// summary says in a sentence what an execution did.
export function summary(execution, now) {
  const began = new Date(execution.started).getTime();
  const took = duration((execution.stopped ? new Date(execution.stopped).getTime() : now) - began);
  const attempts = count(execution.attempts.length, 'attempt');
  const waits = execution.visits.filter((visit) => visit.type === 'Wait').length;
  const waited = waits ? ` and ${count(waits, 'wait')}` : '';
  if (execution.status === 'RUNNING') return `Running for ${took}, ${attempts}${waited} so far.`;
  const recorded = execution.visits.some((visit) => visit.state === 'Record') ? ' The answer is kept for its Idempotency-Key.'
    : execution.visits.some((visit) => visit.state === 'Release') ? ' Its Idempotency-Key is free again.' : '';
  if (execution.status === 'SUCCEEDED' && !execution.failure) return `Answered ${statusText(execution.statusCode)} after ${attempts}${waited}, in ${took}.${recorded}`;
  const last = execution.statusCode ? ` The last answer was ${statusText(execution.statusCode)}.` : '';
  return `Given up after ${attempts}${waited}, in ${took}: ${execution.failure}.${last}${recorded}`;
}
