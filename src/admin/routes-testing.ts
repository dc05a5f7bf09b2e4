import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import * as traces from '../directory/traces.ts'
import type { AdminLido } from './fixtures-testing.ts'
import { makePerson } from './operators-testing.ts'
import { resources } from './resources/index.ts'
import type { Route } from './route.ts'

/** A pool and a workspace that belong together, with a record behind every path of the API. */
export interface Place {
  pool: { id: string; slug: string }
  workspace: { id: string; slug: string }
  /** Ids by the path that ends with their parameter: `/pools/{pool}/groups/{id}`. */
  ids: Map<string, string>
}

/** Makes a place. What a later route needs is made by the POST to its collection, found in its list, or named below. */
export const makePlace = async (lido: AdminLido, slug: string): Promise<Place> => {
  const record = async (path: string) => {
    const made = await lido.call('POST', path, { slug, name: slug })
    assert.equal(made.status, 201, `${path}: ${JSON.stringify(made.body)}`)
    return { id: String(made.body.id), slug }
  }
  const [pool, workspace] = [await record('/pools'), await record('/workspaces')]
  const ids = new Map([
    ['/pools/{pool}', pool.id],
    ['/workspaces/{workspace}', workspace.id],
  ])
  const place = { pool, workspace, ids }
  for (const key of keys()) if (!ids.has(key)) ids.set(key, await makeRecord(lido, place, key))
  return place
}

/** The path of a route with each parameter from a place, or from another after the first `ours` of them. */
export const pathIn = (
  path: string,
  ours: Place | undefined,
  theirs?: Place | string,
  count = Number.POSITIVE_INFINITY,
) => {
  let seen = 0
  return path.replace(/\{\w+\}/g, (_, offset: number) => {
    const from = seen < count ? ours : theirs
    seen += 1
    if (typeof from === 'string') return encodeURIComponent(from)
    return encodeURIComponent(from?.ids.get(path.slice(0, path.indexOf('}', offset) + 1)) ?? randomUUID())
  })
}

/** How many parameters a path has. */
export const depthOf = ({ path }: Route): number => path.split('{').length - 1

/** A body that a route takes; undefined where it takes none. */
export const bodyFor = (route: Route, place: Place): unknown => {
  if (!route.body) return undefined
  if (route.method === 'PATCH') return {}
  const known = bodies[route.name]?.(place) ?? exampleOf(schemaOf(route.body))
  const { success, error } = route.body.safeParse(known)
  assert.ok(success, `${route.name} needs a line in \`bodies\`: ${error?.message}`)
  return known
}

/** The query that a route cannot do without. */
export const queryFor = ({ query }: Route): string => {
  const needed = exampleOf(schemaOf(query)) as Record<string, unknown>
  const fields = Object.fromEntries(Object.entries(needed).map(([name, value]) => [name, String(value)]))
  const text = new URLSearchParams(fields).toString()
  return text && `?${text}`
}

/** Names that a route's body might be thought to have, and has not. */
export const strangeFields = ({ body }: Route): string[] => {
  const schema = body ? schemaOf(body) : {}
  const known = alternativesOf(schema).flatMap(({ properties }) => Object.keys(properties ?? {}))
  return ['surprise', 'id', 'pool_id', 'workspace_id', 'created_at', 'constructor'].filter(
    (name) => !known.includes(name),
  )
}

let made = 0
const fresh = (name: string) => {
  made += 1
  return `${name}-${made}`
}
const email = () => `${fresh('somebody')}@example.org`
const password = 'correct horse battery staple'

// Bodies that a schema alone does not tell.
const bodies: Record<string, (place: Place) => unknown> = {
  createClient: () => ({ client_name: fresh('Client'), redirect_uris: ['https://client.example/callback'] }),
  createConnection: ({ pool }) => ({ pool: pool.id }),
  createDomain: () => ({ host: `${fresh('login')}.example.org` }),
  createInvitation: ({ workspace }) => ({ workspace: workspace.id, identifier: email() }),
  createPool: () => ({ slug: fresh('pool'), name: 'Pool' }),
  createResource: () => ({ identifier: `https://${fresh('api')}.example/`, name: 'API' }),
  createRole: ({ ids }) => ({ key: fresh('role'), name: 'Role', tenant_id: ids.get('/tenants/{id}') ?? null }),
  createTenant: ({ pool }) => ({ slug: fresh('tenant'), name: 'Tenant', pool: pool.id }),
  createUser: () => ({ mode: 'set_credentials', identifiers: [{ type: 'email', value: email() }], password }),
  createWebhook: () => ({ name: fresh('webhook'), url: 'https://hooks.example/', types: ['webhook.tested'] }),
  createWorkspace: () => ({ slug: fresh('workspace'), name: 'Workspace' }),
  changePassword: () => ({ old_password: password, new_password: 'a third horse and a battery' }),
  testScript: () => ({ input: {} }),
  setPassword: () => ({ password: 'another horse another battery' }),
}

// Records that are not made by a POST to their collection.
const makers: Record<string, (lido: AdminLido, place: Place) => Promise<string>> = {
  '/operators/{user}': async (lido) => {
    const id = await makePerson(lido, 'administrators', email())
    await lido.call('PUT', `/operators/${id}`, { role: 'viewer' })
    return id
  },
  '/pools/{pool}/users/{id}/tenants/{tenant}': async (lido, place) => {
    const id = place.ids.get('/tenants/{id}') ?? ''
    await lido.call('PUT', `${pathIn('/pools/{pool}/users/{id}/tenants', place)}/${id}`)
    return id
  },
  '/pools/{pool}/users/{id}/roles/{role}': async (lido, place) => {
    const id = place.ids.get('/roles/{id}') ?? ''
    await lido.call('PUT', `${pathIn('/pools/{pool}/users/{id}/roles', place)}/${id}`)
    return id
  },
  '/pools/{pool}/imports/{id}': async (lido, { pool }) => {
    const headers = { 'Content-Type': 'application/x-ndjson' }
    const made = await lido.call('POST', `/pools/${pool.id}/imports`, { email: email() }, headers)
    assert.equal(made.status, 201, JSON.stringify(made.body))
    return String(made.body.id)
  },
  '/workspaces/{workspace}/webhooks/{id}/deliveries/{event}': async (lido, place) => {
    const tried = await lido.call('POST', pathIn('/workspaces/{workspace}/webhooks/{id}/test', place))
    assert.equal(tried.status, 202, JSON.stringify(tried.body))
    return String(tried.body.event_id)
  },
  '/workspaces/{workspace}/messages/{name}': async () => 'magic-link',
  '/traces/{trace}': async ({ services: { db, clock } }, { workspace }) => {
    const trace = randomUUID()
    const refusal = {
      route: 'GET /w/:workspace/authorize',
      status: 400,
      code: 'invalid_client',
      reason: null,
      checks: [],
    }
    const about = { trace, workspaceId: workspace.id, clientId: null, interaction: null }
    await traces.keep(db, { ...about, ...refusal, at: clock.now() })
    return trace
  },
  '/pools/{pool}/groups/{id}/members/{user}': async (lido, { pool, ids }) => {
    const id = await makePerson(lido, pool.slug, email())
    await lido.call('PUT', `/pools/${pool.id}/groups/${ids.get('/pools/{pool}/groups/{id}')}/members/${id}`)
    return id
  },
}

/** Every path that ends with a parameter, the outer ones first; connections before what needs one. */
const keys = (): string[] => {
  const all = resources.flatMap(({ path }) => [...path.matchAll(/\}/g)].map(({ index }) => path.slice(0, index + 1)))
  const rank = (key: string) => key.split('/').length + (key.startsWith('/workspaces') ? 0 : 100)
  return [...new Set(all)].sort((one, other) => rank(one) - rank(other))
}

const makeRecord = async (lido: AdminLido, place: Place, key: string): Promise<string> => {
  const maker = makers[key]
  if (maker) return maker(lido, place)
  const collection = key.slice(0, key.lastIndexOf('/'))
  const path = pathIn(collection, place)
  const post = resources.find((route) => route.method === 'POST' && route.path === collection && route.status === 201)
  if (!post) return (await firstOf(lido, path)) ?? randomUUID()
  const { status, body, headers } = await lido.call('POST', path, bodyFor(post, place))
  assert.equal(status, 201, `${post.name}: ${JSON.stringify(body)}`)
  const location = headers.get('Location')
  assert.ok(location, `${post.name} says where the new thing is`)
  return decodeURIComponent(location.slice(location.lastIndexOf('/') + 1))
}

const firstOf = async (lido: AdminLido, path: string): Promise<string | undefined> => {
  const { status, body } = await lido.call('GET', path)
  return status === 200 ? body.items?.map(({ id }) => String(id))[0] : undefined
}

interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  enum?: unknown[]
  const?: unknown
  default?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  format?: string
  pattern?: string
  minimum?: number
  minItems?: number
  minLength?: number
}

const schemaOf = (schema: z.ZodType): Schema =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema

const alternativesOf = (schema: Schema): Schema[] => schema.anyOf ?? schema.oneOf ?? [schema]

/** The least that fits a schema: what is not required is left out. */
const exampleOf = (schema: Schema): unknown => {
  const [first] = alternativesOf(schema)
  if (first && first !== schema) return exampleOf(first)
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  if (schema.type === 'object') return objectOf(schema)
  if (schema.type === 'array') return Array.from({ length: schema.minItems ?? 0 }, () => exampleOf(schema.items ?? {}))
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum ?? 1
  if (schema.type === 'boolean') return true
  return textOf(schema)
}

const objectOf = ({ properties = {}, required = [] }: Schema) =>
  Object.fromEntries(required.map((name) => [name, exampleOf(properties[name] ?? {})]))

const textOf = ({ format, pattern, minLength = 0 }: Schema): string => {
  const texts = [
    fresh('text'),
    randomUUID(),
    email(),
    'https://somewhere.example/',
    '2026-01-01T00:00:00.000Z',
    '#123456',
  ]
  const byFormat: Record<string, string | undefined> = {
    uuid: texts[1],
    email: texts[2],
    uri: texts[3],
    'date-time': texts[4],
  }
  const fits = (text: string) => !pattern || new RegExp(pattern, 'u').test(text)
  const text = (format && byFormat[format]) ?? texts.find(fits) ?? ''
  return text.padEnd(minLength, 'x')
}
