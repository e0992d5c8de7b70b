// Checks of the page in a browser. It is told the page's address; CHROMIUM is the browser, and MODULES the folder with
// playwright-core. For each check it writes a line of JSON with its name and, if there is one, the problem.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { chromium } = createRequire(`${process.env.MODULES}/`)('playwright-core');
const url = process.argv[2];
const host = new URL(url).host;
const wide = { width: 1280, height: 900 };
const phone = { width: 360, height: 740 };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM });
let checks = 0;

// check opens the page in a browser of its own and hands it to a function. Every check also fails if the page complains,
// or asks another host for something.
async function check(name, options, run) {
  const context = await browser.newContext({ viewport: wide, ...options });
  const complaints = [];
  context.on('request', (request) => {
    if (new URL(request.url()).host !== host) complaints.push(`it asked for ${request.url()}`);
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  let problem;
  try {
    await page.goto(url);
    await page.locator('#connection.live').waitFor();
    await page.locator('#machine svg').waitFor();
    await run(page, complaints);
    assert.deepEqual(complaints, [], 'the page complains, or asks other hosts');
  } catch (error) {
    problem = error.stack;
  }
  await context.close();
  checks++;
  console.log(JSON.stringify({ name, problem }));
}

// behave gives the demo upstream other settings, as a program would.
async function behave(settings) {
  const response = await fetch(`${url}upstream`, {
    method: 'PUT', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ requests: 1000, intervalSeconds: 1, failureShare: 0, delayMilliseconds: 0, ...settings }),
  });
  assert.equal(response.status, 200);
}

const text = (page, selector) => page.locator(selector).innerText();
const says = (page, selector, expected) => page.locator(selector).filter({ hasText: expected }).first().waitFor();
const newestAnswer = '#answers > li:first-child';
const noSidewaysScrolling = (page) => page.evaluate(() => {
  const all = [...document.body.querySelectorAll('*')].filter((e) => !e.closest('svg, .unseen') && e.getBoundingClientRect().right > innerWidth + 1);
  return { wide: document.documentElement.scrollWidth > innerWidth, over: all.map((e) => `${e.tagName}#${e.id}.${e.className}`) };
});

await check('a request is seen while it runs and when it has ended', {}, async (page) => {
  await behave({ requests: 1, intervalSeconds: 3, failureShare: 1 });
  await says(page, '#request-title', 'No request yet');
  await says(page, '#speed', 'waits pass 2 times faster');
  await page.fill('[name=path]', '/get?token=secret');
  await page.click('text="Send"');
  await says(page, '#request-title', 'GET /get');
  await says(page, '#request-outcome', 'Running for');
  await page.locator('.state.current[data-state="Wait-1"]').filter({ hasText: 'left' }).waitFor();
  await says(page, '#executions li:first-child', 'running');
  await says(page, '#request-outcome', 'Given up after 3 attempts and 2 waits');
  assert.equal(await page.locator('.state.current').count(), 0);
  for (const name of ['Proxy-1', 'Check-1', 'Wait-1', 'Proxy-2', 'Check-2', 'Wait-2', 'Proxy-3', 'Check-3', 'Failed']) {
    assert.match(await page.locator(`.state[data-state="${name}"]`).getAttribute('class'), /visited/, name);
  }
  for (const name of ['Wait-3', 'Record', 'Release', 'Succeeded']) {
    assert.doesNotMatch(await page.locator(`.state[data-state="${name}"]`).getAttribute('class'), /visited/, name);
  }
  assert.equal(await page.locator('.way.taken').count(), 1 + 8, 'ways that are drawn as taken');
  assert.equal(await text(page, '#machine-path span'), 'Enter → Proxy-1 → Check-1 → Wait-1 → Proxy-2 → Check-2 → Wait-2 → Proxy-3 → Check-3 → Failed');
  assert.equal(await page.locator('#attempts li').count(), 3);
  await says(page, '#attempts li:nth-child(1)', '503 Service Unavailable');
  await says(page, '#attempts li:nth-child(1)', /Waits .* s: .*RateLimit asks for/);
  await says(page, '#executions li:first-child', 'given up: AttemptsExhausted');
  await says(page, newestAnswer, '503 Service Unavailable');
  await says(page, newestAnswer, 'The upstream was called 3 times.');
  await page.locator('#attempts li:nth-child(2)').hover();
  assert.match(await page.locator('.state[data-state="Proxy-2"]').getAttribute('class'), /lit/);
  assert.ok(!(await text(page, '.showing')).includes('secret'), 'the query is shown');
});

await check('an attempt at another address is drawn as the way without a wait', {}, async (page) => {
  await behave({ requests: 1, intervalSeconds: 3600 });
  await fetch(new URL('/get', url)); // uses up the address of proxy-1
  await page.click('text="Send"');
  await says(page, '#request-outcome', 'Answered 200 OK after 2 attempts, in');
  assert.equal(await text(page, '#machine-path span'), 'Enter → Proxy-1 → Check-1 → Proxy-2 → Check-2 → Succeeded');
  await says(page, '#attempts li:nth-child(1)', 'the next proxy at once');
  await page.click('#history summary');
  await says(page, '#events tr:last-child', 'ExecutionSucceeded');
});

await check('of ten duplicates at once nine are replays and the upstream is called once', {}, async (page) => {
  await behave({ delayMilliseconds: 1000 });
  await page.selectOption('[name=method]', 'POST');
  await page.fill('[name=path]', '/post');
  await page.click('#new-key');
  const key = await page.inputValue('[name=key]');
  assert.match(key, /^order-[a-z0-9]{6}$/);
  const before = await text(page, '#executions').then((list) => list.split('POST /post').length);
  await page.click('text="Send ten at once"');
  await says(page, '#records li', 'locked for');
  await says(page, newestAnswer, '10 answers, 9 replays among them. The upstream was called once.');
  await says(page, newestAnswer, '9 × replay');
  await says(page, newestAnswer, `Idempotency-Key ${key}`);
  await says(page, '#records li', /its answer is kept for 23 h 59 min|its answer is kept for 1 d/);
  await says(page, '#request-outcome', 'The answer is kept for its Idempotency-Key.');
  const after = await text(page, '#executions').then((list) => list.split('POST /post').length);
  assert.equal(after, before + 1, 'executions for ten duplicates');

  await page.click('text="Send it again"');
  await says(page, newestAnswer, 'A replay of the first answer. The upstream was not called.');
  await page.click('text="Send with If-None-Match"');
  await says(page, newestAnswer, '304 Not Modified');
  await says(page, newestAnswer, 'If-None-Match');
  await page.click(`${newestAnswer} summary`);
  await says(page, `${newestAnswer} .fields`, 'ETag');
  // On a machine that is busy the list may be drawn anew between the two clicks.
  const made = page.locator('#answers > li:nth-child(3) >> text="Show how the answer was made"');
  for (let tries = 1; ; tries++) {
    if (!await made.isVisible()) await page.click('#answers > li:nth-child(3) summary >> nth=0');
    try {
      await made.click({ timeout: 4_000 });
      break;
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
  assert.equal(await page.isChecked('#follow'), false);

  await page.click('#new-key');
  await page.fill('[name=path]', '/status/204');
  await page.click('text="Send"');
  await says(page, newestAnswer, '204 No Content');
  await says(page, '#request-title', 'POST /post'); // which was asked for
  await page.check('#follow');
  await says(page, '#request-title', 'POST /status/204');
});

await check('header fields and a body are sent, and markup in an answer stays text', {}, async (page, complaints) => {
  await behave({});
  await page.selectOption('[name=method]', 'POST');
  await page.fill('[name=path]', '/anything?<b>=<img src=x onerror=alert(1)>'.replaceAll(' ', '+'));
  await page.click('text="Header fields and body"');
  await page.fill('[name=headers]', 'X-Colour: <i>blue</i>\nPrefer: wait=5');
  await page.fill('[name=body]', '{"amount": 100}');
  await page.click('text="Send"');
  await says(page, newestAnswer, /anything\?<b>[^]*200 OK/);
  await page.click(`${newestAnswer} summary`);
  const body = JSON.parse(await text(page, `${newestAnswer} pre`));
  assert.deepEqual(body.json, { amount: 100 });
  assert.deepEqual(body.headers['X-Colour'], ['<i>blue</i>']);
  assert.equal(await page.locator('#answers img, #answers b, #answers i').count(), 0);

  await page.fill('[name=headers]', 'not a field');
  await page.click('text="Send"');
  await says(page, '#send-error', 'not a field');
  assert.match(complaints.pop(), /400 \(Bad Request\)/); // which the browser notes down
});

await check('the gate is shown with what was measured', {}, async (page) => {
  await behave({});
  await says(page, '#gates li', 'circuit open');
  await says(page, '#gates li code', '0a1b2c3d./orders #2');
  await says(page, '#gates li .facts', '7 tickets waiting of 7, the limit is by key');
  await says(page, '#metrics', 'GateWait, Orders');
  await says(page, '#metrics', '1.20 s');
  assert.ok(!(await text(page, '#records')).includes('orders'), 'it is shown as a record, too');
});

await check('the demo upstream is changed, and refuses what cannot be', {}, async (page, complaints) => {
  await behave({});
  await page.fill('[name=requests]', '7');
  await page.fill('[name=intervalSeconds]', '2.5');
  await page.fill('[name=failurePercent]', '12.5');
  await page.fill('[name=delayMilliseconds]', '40');
  await page.click('text="Change"');
  await says(page, '#settings-done', 'Changed.');
  const { settings } = await (await fetch(`${url}upstream`)).json();
  assert.deepEqual(settings, { requests: 7, intervalSeconds: 2.5, failureShare: 0.125, delayMilliseconds: 40 });

  await page.selectOption('[name=by]', 'key');
  await page.fill('[name=burst]', '20');
  await page.check('[name=omitRateLimit]');
  await page.selectOption('[name=outage]', '503');
  await page.fill('[name=outageSeconds]', '600');
  await page.fill('[name=retryAfterSeconds]', '30');
  await page.click('text="Change"');
  await says(page, '#settings-done', 'Changed.');
  assert.deepEqual((await (await fetch(`${url}upstream`)).json()).settings, {
    ...settings, by: 'key', burst: 20, omitRateLimit: true, outage: { answer: '503', seconds: 600, retryAfterSeconds: 30 },
  });
  await page.selectOption('[name=outage]', 'cut');
  await page.click('text="Change"');
  await says(page, '#settings-error', 'nothing is announced');
  assert.match(complaints.pop(), /400 \(Bad Request\)/); // which the browser notes down

  await page.fill('[name=delayMilliseconds]', '77'); // not sent yet
  await behave({ by: 'key', burst: 20, omitRateLimit: true, requests: 7, intervalSeconds: 2.5, failureShare: 0.125, delayMilliseconds: 40 });
  await page.waitForFunction(() => document.querySelector('[name=outage]').value === '' && document.querySelector('[name=outageSeconds]').value === '');
  assert.equal(await page.inputValue('[name=delayMilliseconds]'), '77');

  await page.fill('[name=failurePercent]', '101');
  await page.click('text="Change"');
  await says(page, '#settings-error', 'Failures');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'failurePercent');

  await behave({ requests: 3 }); // changed elsewhere
  await page.waitForFunction(() => document.querySelector('[name=requests]').value === '3');
});

await check('what was shown is there again after the page was loaded anew', {}, async (page) => {
  const shown = async () => [await text(page, '#executions'), (await text(page, '#answers')).length, await text(page, '#request-title')];
  const before = await shown();
  assert.ok(before[1] > 0);
  await page.reload();
  await says(page, '#executions li', 'POST /post');
  assert.deepEqual(await shown(), before);
});

await check('a page that was hidden catches up when it is seen again', {}, async (page) => {
  await behave({});
  const setVisibility = (state) => page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await setVisibility('hidden');
  await says(page, '#connection', 'asleep');
  await fetch(new URL('/anything/unseen', url));
  await setVisibility('visible');
  await says(page, '#request-title', 'GET /anything/unseen');
});

await check('all of it can be done with the keyboard', {}, async (page) => {
  await behave({});
  const focused = () => page.evaluate(() => {
    const e = document.activeElement;
    const style = getComputedStyle(e);
    return {
      what: e === document.body ? 'body' : e.name || e.id || e.className || e.textContent.trim().slice(0, 30),
      seen: e === document.body || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2),
    };
  });
  const tabTo = async (selector) => {
    for (let i = 0; i < 120; i++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate((s) => document.activeElement.matches(s), selector)) return;
    }
    assert.fail(`${selector} is not reached by the tab key`);
  };
  await page.keyboard.press('Tab');
  assert.equal((await focused()).what, 'skip');
  await tabTo('[name=method]');
  await page.keyboard.press('p');
  assert.equal(await page.inputValue('[name=method]'), 'POST');
  await tabTo('[name=path]');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('/anything/by-keyboard');
  await tabTo('#new-key');
  await page.keyboard.press('Enter');
  await tabTo('[data-copies="10"]');
  await page.keyboard.press('Space');
  await says(page, newestAnswer, '10 answers, 9 replays among them.');
  await says(page, '#announcement', 'POST /anything/by-keyboard: 10 answers, 9 replays among them.');
  await tabTo('#if-none-match');
  await page.keyboard.press('Enter');
  await says(page, newestAnswer, '304 Not Modified');
  await tabTo('#answers summary');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator(`${newestAnswer} details[open]`).count(), 1);
  await tabTo('#attempts li');
  assert.equal(await page.locator('.state.lit').count(), 1);
  await tabTo('#executions li:nth-child(2) button');
  await page.keyboard.press('Enter');
  assert.equal(await page.getAttribute('#executions li:nth-child(2) button', 'aria-current'), 'true');
  await tabTo('#settings button');

  // Once around: everything that takes the focus shows it, and nothing keeps it.
  const visited = [];
  for (let i = 0; i < 400 && !(visited.length > 5 && visited.at(-1) === 'skip'); i++) {
    await page.keyboard.press('Tab');
    const { what, seen } = await focused();
    assert.ok(seen, `the focus on ${what} is not seen`);
    visited.push(what);
  }
  assert.equal(visited.at(-1), 'skip', `the tab key does not come round: ${visited.slice(-5)}`);
});

// ringOf is the definition of a ring as the construct writes it.
function ringOf(proxies) {
  const states = [];
  const ends = ['Record', 'Succeeded', 'Release', 'Failed'];
  for (let i = 1; i <= proxies; i++) {
    const next = `Proxy-${(i % proxies) + 1}`;
    states.push({ name: `Proxy-${i}`, type: 'Task', resource: 'lambda:invoke', transitions: [{ to: `Check-${i}` }, { to: `Check-${i}`, catch: true }] });
    states.push({ name: `Check-${i}`, type: 'Choice', transitions: [...ends, `Wait-${i}`, next].map((to) => ({ to })) });
    states.push({ name: `Wait-${i}`, type: 'Wait', transitions: [{ to: next }] });
  }
  states.push({ name: 'Record', type: 'Task', resource: 'dynamodb:updateItem', transitions: [{ to: 'Succeeded' }] });
  states.push({ name: 'Release', type: 'Task', resource: 'dynamodb:updateItem', transitions: [{ to: 'Failed' }] });
  states.push({ name: 'Succeeded', type: 'Succeed', transitions: [] }, { name: 'Failed', type: 'Fail', transitions: [] });
  return { name: 'ring', startAt: 'Proxy-1', states };
}

for (const proxies of [1, 2, 3, 5, 6, 20]) {
  await check(`a ring of ${proxies} is drawn with the way through it`, {}, async (page) => {
    const way = [];
    for (let i = 0; i < 8; i++) way.push(`Proxy-${(i % proxies) + 1}`, `Check-${(i % proxies) + 1}`, ...(i % 2 ? [] : [`Wait-${(i % proxies) + 1}`]));
    way.push('Record', 'Succeeded');
    const found = await page.evaluate(async ({ definition, names }) => {
      const { draw } = await import('./machine.js');
      const visits = names.map((state) => ({ state, type: state.split('-')[0], attempt: state.startsWith('Proxy') ? 1 : undefined, waitSeconds: 1 }));
      const svg = draw(definition, { status: 'SUCCEEDED', statusCode: 200, attempts: [{ status: 429 }], visits }, Date.now());
      document.getElementById('machine').replaceChildren(svg);
      const frame = svg.getBoundingClientRect();
      const boxes = [...svg.querySelectorAll('.state, .fold')].map((shape) => [shape.dataset.state ?? 'fold', shape.querySelector('rect, path').getBoundingClientRect()]);
      const problems = [];
      boxes.forEach(([name, a], i) => {
        if (a.left < frame.left || a.right > frame.right || a.top < frame.top || a.bottom > frame.bottom) problems.push(`${name} is outside`);
        for (const [other, b] of boxes.slice(i + 1)) {
          if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) problems.push(`${name} covers ${other}`);
        }
      });
      for (const text of svg.querySelectorAll('text')) {
        const box = text.getBoundingClientRect();
        if (box.left < frame.left || box.right > frame.right) problems.push(`the text ${text.textContent} is outside`);
      }
      for (const line of svg.querySelectorAll('.way')) if (/NaN|undefined|L/.test(line.getAttribute('d'))) problems.push(`a line is ${line.getAttribute('d')}`);
      return {
        problems, states: boxes.length, taken: svg.querySelectorAll('.way.taken').length,
        visited: [...svg.querySelectorAll('.visited')].map((shape) => shape.dataset.state),
      };
    }, { definition: ringOf(proxies), names: way });
    assert.deepEqual(found.problems, []);
    assert.deepEqual(found.visited.sort(), [...new Set(way)].sort());
    const steps = new Set(way.slice(1).map((name, i) => `${way[i]} ${name}`));
    assert.equal(found.taken, steps.size + 1, 'ways that are drawn as taken, with the one that comes in');
    assert.ok(found.states <= 3 * 10 + 4 + 2, `${found.states} states are too many to see`);
  });
}

await check('everything that is entered has a label', {}, async (page) => {
  const unnamed = await page.evaluate(() => [...document.querySelectorAll('input, select, textarea, button')]
    .filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).map((e) => e.outerHTML));
  assert.deepEqual(unnamed, []);
  assert.equal(await page.getAttribute('#machine svg', 'role'), 'img');
  assert.equal(await page.getAttribute('html', 'lang'), 'en');
});

for (const [name, viewport] of [['a phone', phone], ['a tablet', { width: 768, height: 1000 }], ['a desk', wide], ['a wall', { width: 2200, height: 1200 }]]) {
  await check(`nothing is wider than ${name}`, { viewport }, async (page) => {
    await behave({});
    await page.fill('[name=path]', `/anything/${'long'.repeat(40)}`);
    await page.fill('[name=key]', 'k'.repeat(200));
    await page.click('text="Send"');
    await says(page, '#request-title', 'longlong');
    await says(page, newestAnswer, '200 OK');
    await page.click(`${newestAnswer} summary`);
    await page.click('text="Header fields and body"');
    await page.click('#history summary');
    await says(page, '#events tr:last-child', 'ExecutionSucceeded');
    assert.deepEqual(await noSidewaysScrolling(page), { wide: false, over: [] });
  });
}

// contrast finds texts whose contrast with what is behind them is below what WCAG 2.2 asks for at level AA.
const contrast = (page) => page.evaluate(() => {
  const parse = (color) => (color.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const luminance = (color) => parse(color).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    const shape = e.closest('.state')?.querySelector('rect, path');
    if (shape) return getComputedStyle(shape).fill;
    for (let at = e; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (parse(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const low = [];
  let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || e.closest('.unseen, title, noscript, datalist, :disabled') || !e.checkVisibility()) continue;
    seen++;
    const style = getComputedStyle(e);
    const [a, b] = [luminance(e.closest('svg') ? style.fill : style.color), luminance(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${walk.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return { low, seen };
});

for (const colorScheme of ['light', 'dark']) {
  await check(`texts can be read in ${colorScheme} colours`, { colorScheme }, async (page) => {
    await says(page, '#executions li', 'POST');
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number).reduce((a, b) => a + b));
    assert.ok(colorScheme === 'dark' ? ground < 150 : ground > 600, `the ground is ${ground}`);
    for (const selected of ['given up', '200']) {
      await page.locator('#executions button').filter({ hasText: selected }).first().click();
      const { low, seen } = await contrast(page);
      assert.ok(seen > 60, `only ${seen} texts are there`);
      assert.deepEqual(low, []);
    }
  });
}

for (const [reducedMotion, moves] of [['reduce', false], ['no-preference', true]]) {
  await check(`with motion ${reducedMotion} ${moves ? 'what runs moves' : 'nothing moves'}`, { reducedMotion }, async (page) => {
    await behave({ delayMilliseconds: 1500 });
    await page.click('text="Send"');
    await page.locator('.state.current').waitFor();
    assert.equal(await page.evaluate(() => document.getAnimations().length > 0), moves);
    await says(page, '#request-outcome', 'Answered 200 OK');
  });
}

await check('the policy for content is in force', {}, async (page, complaints) => {
  const refused = await page.evaluate(async () => {
    const directives = [];
    document.addEventListener('securitypolicyviolation', (event) => directives.push(event.effectiveDirective));
    const attempts = [
      () => fetch('http://127.0.0.2:9/'),
      () => { new Image().src = 'http://127.0.0.2:9/image'; },
      () => { document.body.setAttribute('style', 'color: red'); },
      () => { document.body.append(Object.assign(document.createElement('script'), { src: 'http://127.0.0.2:9/script' })); },
      () => { document.body.innerHTML = '<b>'; },
      () => { (0, eval)('1'); },
    ];
    for (const attempt of attempts) {
      try {
        await attempt();
      } catch { /* it is the event that counts */ }
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    return directives;
  });
  for (const directive of ['connect-src', 'img-src', 'style-src-attr', 'require-trusted-types-for']) {
    assert.ok(refused.includes(directive), `${directive} is not among ${refused}`);
  }
  complaints.length = 0; // of what was tried here
});

await browser.close();
console.log(JSON.stringify({ checks }));
