// Calls APIs with clients of other people, which know nothing of the stack, and tells what they make of the answers.
//
//     node --input-type=module - CLIENT ERRANDS <clients.mjs
//
// carries out errands, all at once, with a client in the node_modules of the working directory. ERRANDS is a JSON list of
//
//     {"name": …, "base": …, "method": "get" | "post" | "pages", "retries": true | false, "size": …, "keyLength": …}
//
// base is the URL of the API, and name a part of the path that is asked for. size is that of the text that is sent, and
// keyLength that of the Idempotency-Key, if there is to be one. retries are the client's own: false sets it up as README.md
// says. For each errand a line of JSON is written.

// Each client makes the three kinds of call in the way that its documentation shows. told is where its errors keep what
// others have in their own fields.
const clients = {
  stripe: async () => {
    const { default: Stripe } = await import('stripe')
    const api = ({ base, retries }) => {
      const { hostname, port } = new URL(base)
      return new Stripe('sk_test_1', {
        protocol: 'http', host: hostname, port, telemetry: false, ...(retries ? {} : { maxNetworkRetries: 0 }),
      })
    }
    return {
      get: (o) => api(o).customers.retrieve(o.name),
      post: (o) => api(o).customers.update(o.name, { description: o.text }, o.key ? { idempotencyKey: o.key } : {}),
    }
  },

  openai: async () => {
    const { default: OpenAI } = await import('openai')
    const api = ({ base, name, retries }) =>
      new OpenAI({ apiKey: 'sk-1', baseURL: `${base}/${name}/v1`, ...(retries ? {} : { maxRetries: 0 }) })
    return {
      get: (o) => api(o).models.retrieve('m'),
      post: (o) => api(o).chat.completions.create(
        { model: 'm', messages: [{ role: 'user', content: o.text }] }, keyField(o)),
    }
  },

  anthropic: async () => {
    const { default: Anthropic } = await import('@anthropic-ai/sdk')
    const api = ({ base, name, retries }) =>
      new Anthropic({ apiKey: 'sk-1', baseURL: `${base}/${name}`, ...(retries ? {} : { maxRetries: 0 }) })
    return {
      get: (o) => api(o).models.retrieve('m'),
      post: (o) => api(o).messages.create(
        { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: o.text }] }, keyField(o)),
      told: (e) => ({ body: e.error }),
    }
  },

  octokit: async () => {
    const { Octokit } = await import('@octokit/core')
    const { retry } = await import('@octokit/plugin-retry')
    const { throttling } = await import('@octokit/plugin-throttling')
    const { paginateRest } = await import('@octokit/plugin-paginate-rest')
    const Whole = Octokit.plugin(retry, throttling, paginateRest)
    const silent = { debug() {}, info() {}, warn() {}, error() {} }
    const api = ({ base, name, retries }) => {
      // As in the package octokit, which puts the three together.
      const once = (_after, _options, _octokit, retryCount) => retries && retryCount === 0
      return new Whole({
        baseUrl: base,
        log: silent,
        throttle: { id: name, onRateLimit: once, onSecondaryRateLimit: once, retryAfterBaseValue: 100 },
        // Waits of 0.1, 0.4 and 0.9 seconds, in place of 1, 4 and 9.
        retry: { enabled: retries, retryAfterBaseValue: 100 },
      })
    }
    const answer = async (call) => { const { status, data } = await call; return { status, data } }
    return {
      get: (o) => answer(api(o).request(`GET /${o.name}`)),
      post: (o) => answer(api(o).request(`POST /${o.name}`, { title: o.text, ...keyField(o) })),
      pages: (o) => api(o).paginate(`GET /${o.name}`),
      told: (e) => ({ body: e.response?.data }),
    }
  },

  got: async () => {
    const { default: got } = await import('got')
    const api = ({ base, retries }) =>
      got.extend({ prefixUrl: base, responseType: 'json', ...(retries ? {} : { retry: { limit: 0 } }) })
    const answer = async (call) => { const { statusCode, body } = await call; return { status: statusCode, data: body } }
    return {
      get: (o) => answer(api(o).get(o.name)),
      post: (o) => answer(api(o).post(o.name, { json: { text: o.text }, ...keyField(o) })),
      told: (e) => ({ status: e.response?.statusCode, body: e.response?.body }),
    }
  },

  ky: async () => {
    const { default: ky } = await import('ky')
    // Its timeout is 10 seconds by default.
    const api = ({ base, retries }) => ky.create({ prefixUrl: base, timeout: 120_000, ...(retries ? {} : { retry: 0 }) })
    return {
      get: (o) => api(o).get(o.name).json(),
      post: (o) => api(o).post(o.name, { json: { text: o.text }, ...keyField(o) }).json(),
      told: async (e) => ({ status: e.response?.status, body: await e.response?.json().catch(() => undefined) }),
    }
  },

  axios: async () => {
    const { default: axios } = await import('axios')
    const { default: axiosRetry } = await import('axios-retry')
    const api = ({ base, retries }) => {
      const instance = axios.create({ baseURL: base })
      axiosRetry(instance, retries ? {} : { retries: 0 })
      return instance
    }
    const answer = async (call) => { const { status, data } = await call; return { status, data } }
    return {
      get: (o) => answer(api(o).get(`/${o.name}`)),
      post: (o) => answer(api(o).post(`/${o.name}`, { text: o.text }, keyField(o))),
      told: (e) => ({ body: e.response?.data }),
    }
  },
}

function keyField({ key }) {
  return key ? { headers: { 'Idempotency-Key': key } } : {}
}

async function carryOut(client, { name, base, method, retries, size, keyLength }) {
  try {
    const value = await client[method]({ name, base, retries, text: 'x'.repeat(size), key: 'k'.repeat(keyLength) })
    return { name, resolved: true, value }
  } catch (e) {
    const { code, type, status = e.statusCode } = e
    const message = e.message.replaceAll(base, 'BASE').replaceAll(name, 'NAME')
    return { name, class: e.constructor.name, code, type, status, message, ...(await client.told?.(e)) }
  }
}

const [, , name, errands] = process.argv
const client = await clients[name]()
await Promise.all(JSON.parse(errands).map(async (errand) => console.log(JSON.stringify(await carryOut(client, errand)))))
process.exit() // Some keep connections open for their next call.
