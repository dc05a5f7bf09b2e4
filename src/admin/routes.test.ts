import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AdminLido, type ApiAnswer, adminLido } from './fixtures-testing.ts'
import { operator, type SignedIn } from './operators-testing.ts'
import { resources } from './resources/index.ts'
import type { Route } from './route.ts'
import { bodyFor, depthOf, makePlace, type Place, pathIn, queryFor, strangeFields } from './routes-testing.ts'

let lido: AdminLido
let ours: Place
let theirs: Place
let limited: SignedIn
before(async () => {
  lido = await adminLido()
  ours = await makePlace(lido, 'ours-and-only-ours')
  theirs = await makePlace(lido, 'theirs-and-only-theirs')
  const limits = { pools: [ours.pool.id], workspaces: [ours.workspace.id] }
  limited = await operator(lido, 'limited@example.org', { role: 'admin', ...limits })
})
after(() => lido.stop())

type Call = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>

/** Asks a route with its parameters from one place, or from another after so many, and a body that it takes. */
const ask = (call: Call, route: Route, from: Parameters<typeof pathIn>[1], then?: Place | string, count?: number) => {
  const path = pathIn(route.path, from, then, count) + queryFor(route)
  return call(route.method, path, bodyFor(route, ours))
}

/** Whether what follows so many parameters of ours goes by the same name everywhere. */
const isShared = ({ path }: Route, count: number) => pathIn(path, ours) === pathIn(path, ours, theirs, count)

const sayOf = ({ status, body }: ApiAnswer) => `${status} ${JSON.stringify(body)}`
const withParameters = resources.filter((route) => depthOf(route) > 0)
const titleOf = ({ method, path }: Route) => `${method} ${path}`
const lists = resources.filter(({ method, path }) => method === 'GET' && !path.endsWith('}'))

/** Everything that tells one place from another. */
const marksOf = ({ pool, workspace, ids }: Place): string[] => {
  const roots = ['/pools/', '/workspaces/', '/tenants/', '/roles/']
  const own = [...ids].filter(([key, id]) => roots.some((root) => key.startsWith(root)) && ours.ids.get(key) !== id)
  return [pool.slug, pool.id, workspace.id, ...own.map(([, id]) => id)]
}

describe('without a token', () => {
  for (const route of resources)
    test(titleOf(route), async () => {
      for (const Authorization of ['', 'Bearer', 'Bearer no.such.token', `Basic ${btoa('bootstrap:guess')}`]) {
        const call: Call = (method, path, body) => lido.call(method, path, body, { Authorization })
        const answer = await ask(call, route, ours)
        assert.equal(answer.status, 401, sayOf(answer))
        assert.match(answer.headers.get('WWW-Authenticate') ?? '', /^Bearer, DPoP /)
      }
    })
})

describe('with a token of another scope', () => {
  for (const route of resources)
    test(titleOf(route), async () => {
      const [resource, verb] = route.scope.split(':')
      const other = resource === 'stats' ? 'events' : 'stats'
      for (const scope of [`${other}:write`, ...(verb === 'write' ? [`${resource}:read`] : [])]) {
        const Authorization = `Bearer ${await lido.token(scope)}`
        const call: Call = (method, path, body) => lido.call(method, path, body, { Authorization })
        const answer = await ask(call, route, ours)
        assert.equal(answer.status, 403, `${scope}: ${sayOf(answer)}`)
      }
    })
})

describe('with an id that is not there', () => {
  for (const route of withParameters)
    test(titleOf(route), async () => {
      for (const odd of [undefined, 'no-such-thing', "' or 1=1 --", '../..', '0', 'x'.repeat(300), '\u{1f3d6}', '%'])
        for (let count = 0; count < depthOf(route); count += 1) {
          const answer = await ask(lido.call, route, ours, odd, count)
          assert.equal(answer.status, 404, `${odd} after ${count}: ${sayOf(answer)}`)
        }
    })
})

describe('with an id of another pool or workspace', () => {
  for (const route of withParameters)
    test(titleOf(route), async () => {
      for (let count = 1; count < depthOf(route); count += 1) {
        if (isShared(route, count)) continue
        const answer = await ask(lido.call, route, ours, theirs, count)
        assert.equal(answer.status, 404, `${count} of ours: ${sayOf(answer)}`)
      }
    })
})

describe('for an operator with limits, nothing of another pool or workspace', () => {
  for (const route of withParameters)
    test(titleOf(route), async () => {
      const never = route.scope === 'operators:write'
      for (let count = 0; count < depthOf(route); count += 1) {
        if (isShared(route, count)) continue
        const answer = await ask(limited.call, route, ours, theirs, count)
        assert.equal(answer.status, never ? 403 : 404, `${count} of ours: ${sayOf(answer)}`)
        const unknown = await ask(limited.call, route, ours, undefined, count)
        assert.deepEqual(likeness(answer), likeness(unknown), 'as if it were not there at all')
      }
    })

  for (const route of lists)
    test(`${titleOf(route)} tells nothing of others`, async () => {
      const everything = await pagesOf(route, 200)
      for (const mark of marksOf(theirs)) assert.ok(!everything.text.includes(mark), `${mark} in ${everything.text}`)
      const single = everything.items <= 1 && (await pagesOf(route, 1, 1))
      if (single) assert.ok(!single.more, 'no cursor leads on to nothing')
    })
})

const likeness = ({ status, body: { trace: _, ...body } }: ApiAnswer) => ({ status, body })

/** What an operator with limits finds in a list of theirs, page by page; nothing where there is none for them. */
const pagesOf = async (route: Route, limit: number, most = 50) => {
  const paged = 'limit' in route.query.shape
  let text = ''
  let items = 0
  let cursor: unknown
  for (let page = 0; page < most; page += 1) {
    const query = new URLSearchParams(queryFor(route))
    if (paged) query.set('limit', String(limit))
    if (cursor) query.set('cursor', String(cursor))
    const answer = await limited.call('GET', `${pathIn(route.path, ours)}?${query}`)
    // A pool whose people live here has no migration to tell of (409).
    assert.ok([200, 403, 404, 409].includes(answer.status), sayOf(answer))
    text += JSON.stringify(answer.body)
    items += answer.body.items?.length ?? 0
    cursor = answer.body.next_cursor
    if (!cursor) break
  }
  return { text, items, more: Boolean(cursor) }
}

describe('fields that a body does not have are refused, each with its pointer', () => {
  for (const route of resources.filter(({ body }) => body))
    test(titleOf(route), async () => {
      for (const name of strangeFields(route)) {
        const body = { ...(bodyFor(route, ours) as object), [name]: 'x' }
        const answer = await lido.call(route.method, pathIn(route.path, ours) + queryFor(route), body)
        assert.equal(answer.status, 422, `${name}: ${sayOf(answer)}`)
        const pointers = (answer.body.errors as { pointer: string }[]).map(({ pointer }) => pointer)
        assert.ok(pointers.includes(`/${name}`), sayOf(answer))
      }
      const prototype = await fetch(`${lido.url}/api/v1${pathIn(route.path, ours)}${queryFor(route)}`, {
        method: route.method,
        headers: { Authorization: `Bearer ${await lido.token()}`, 'Content-Type': 'application/json' },
        body: '{"__proto__": {"role": "owner"}}',
      })
      assert.equal(prototype.status, 400)
    })
})

describe('a query that a route does not have is refused', () => {
  for (const route of resources)
    test(titleOf(route), async () => {
      const answer = await lido.call(route.method, `${pathIn(route.path, undefined)}?surprise=1`, bodyFor(route, ours))
      assert.equal(answer.status, 422, sayOf(answer))
    })
})
