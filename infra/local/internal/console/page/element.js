// Making and keeping elements. Text always becomes a text node, so nothing that a server answered is read as markup.

const svgNamespace = 'http://www.w3.org/2000/svg';

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== ''));
  return made;
}

// element makes an HTML element.
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// drawn makes an SVG element.
export function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS(svgNamespace, name), attributes, children);
}

// setText changes an element's text if it is another one, so that what is selected stays so.
export function setText(of, text) {
  if (of.textContent !== text) of.textContent = text;
}

// keep gives a list one child per item, in their order. A child stays the same as long as there is an item with its key,
// so that focus and what is unfolded stay, too.
export function keep(list, items, key, make, update) {
  const children = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let before = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = children.get(name);
    children.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === before) before = before.nextElementSibling;
    else list.insertBefore(child, before);
    update(child, item);
  }
  for (const child of children.values()) child.remove();
}

// The shapes that tell states apart without colour.
const shapes = {
  good: 'M3.5 8.5 6.5 11.5 12.5 4.5', // tick
  bad: 'M4 4 12 12M12 4 4 12', // cross
  again: 'M12.4 6.2A5 5 0 1 0 13 9.2M13 3v3.6H9.4', // turning arrow
  replay: 'M3.4 9.8A5 5 0 1 0 3.6 6.2M3 3v3.6h3.6', // arrow back
  running: 'M8 2.8A5.2 5.2 0 1 1 2.8 8', // open ring
  same: 'M3.5 6h9M3.5 10h9', // equals sign
  free: 'M8 3.5a4.5 4.5 0 1 0 .01 0', // ring
};

// mark is a shape in front of a word that says the same.
export function mark(kind) {
  return drawn('svg', { class: `mark ${kind}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, drawn('path', { d: shapes[kind] }));
}

// duration writes milliseconds for people.
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return remaining(milliseconds);
}

// remaining writes a duration that counts down, in its two largest units.
export function remaining(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const [m, h, d] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86400)];
  if (d > 0) return `${d} d ${h % 24} h`;
  if (h > 0) return `${h} h ${m % 60} min`;
  if (m > 0) return `${m} min ${seconds % 60} s`;
  return `${seconds} s`;
}

// count writes a number with its noun.
export function count(n, noun, plural = `${noun}s`) {
  return `${n} ${n === 1 ? noun : plural}`;
}

// timeOfDay writes when something was.
export function timeOfDay(time) {
  return new Date(time).toLocaleTimeString('en-GB');
}
