import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { type AdminLido, adminLido } from './fixtures-testing.ts'
import type { Json } from './openapi.ts'
import { resources } from './resources/index.ts'

let lido: AdminLido
let document: Json
before(async () => {
  lido = await adminLido()
  const response = await fetch(`${lido.url}/api/openapi.json`)
  assert.equal(response.status, 200)
  document = (await response.json()) as Json
})
after(() => lido.stop())

interface Content {
  schema: Json
  example?: unknown
  examples?: Record<string, { $ref: string }>
}

interface Operation extends Json {
  operationId: string
  parameters: { name: string; in: string; required: boolean; description?: string; schema: Json }[]
  responses: Record<string, { description: string; content?: Record<string, Content> }>
  requestBody?: { required: boolean; content: Record<string, Content> }
  security: { operator: string[] }[]
}

const operations = () =>
  Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

test('the document has every route once, with a name, a summary and a description', () => {
  const listed = operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`)
  assert.deepEqual(listed.sort(), resources.map(({ method, path }) => `${method} ${path}`).sort())
  assert.equal(new Set(listed).size, listed.length)
  const ids = operations().map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length, 'operation ids are unique')
  for (const { operation, path, method } of operations()) {
    assert.match(operation.operationId, /^[a-z][A-Za-z]+$/)
    for (const text of [operation.summary, operation.description])
      assert.ok(typeof text === 'string' && text.length > 3, `${method} ${path}`)
  }
})

test('the document keeps to OpenAPI 3.1', () => {
  assert.match(String(document.openapi), /^3\.1\.\d+$/)
  const known = ['openapi', 'info', 'jsonSchemaDialect', 'servers', 'paths', 'webhooks', 'components', 'security']
  for (const name of Object.keys(document)) assert.ok([...known, 'tags', 'externalDocs'].includes(name), name)
  const { title, version } = document.info as Json
  assert.ok(typeof title === 'string' && typeof version === 'string')
  for (const { url } of document.servers as { url: string }[]) assert.ok(URL.canParse(url))
  const tags = (document.tags as { name: string }[]).map(({ name }) => name)
  assert.equal(new Set(tags).size, tags.length)
  for (const { path, method, operation } of operations()) {
    const where = `${method} ${path}`
    assert.ok(path.startsWith('/'), where)
    assert.match(method, /^(get|put|post|delete|patch)$/)
    for (const tag of operation.tags as string[]) assert.ok(tags.includes(tag), `${where}: ${tag}`)
    checkParameters(where, path, operation)
    checkBodies(where, operation)
    assert.ok(
      Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status)),
      where,
    )
    for (const [status, { description }] of Object.entries(operation.responses)) {
      assert.match(status, /^[1-5](\d\d|XX)$/, where)
      assert.ok(description, `${where} ${status}`)
    }
  }
})

const checkParameters = (where: string, path: string, { parameters }: Operation) => {
  const keys = parameters.map(({ name, in: place }) => `${place} ${name}`)
  assert.equal(new Set(keys).size, keys.length, where)
  const inPath = parameters.filter((parameter) => parameter.in === 'path')
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  assert.deepEqual(inPath.map(({ name }) => name).sort(), named.sort(), where)
  assert.ok(
    inPath.every(({ required }) => required === true),
    where,
  )
  for (const parameter of parameters) {
    assert.ok(['path', 'query', 'header', 'cookie'].includes(parameter.in), where)
    assert.ok(parameter.schema, `${where} ${parameter.name}`)
    assert.ok(!/^(accept|content-type|authorization)$/i.test(parameter.name), where)
  }
}

const checkBodies = (where: string, { requestBody, responses }: Operation) => {
  const bodies = [requestBody, ...Object.values(responses)].flatMap((one) => Object.entries(one?.content ?? {}))
  for (const [type, { schema }] of bodies) {
    assert.match(type, /^[a-z]+\/[a-z0-9.+-]+$/, where)
    assert.ok(schema, where)
  }
}

test('its schemas are JSON Schemas of 2020-12, and every reference leads somewhere', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  for (const { schema, where } of schemas()) assert.ok(ajv.validateSchema(schema), `${where}: ${ajv.errorsText()}`)
  for (const pointer of referencesOf(document)) {
    assert.match(pointer, /^#\//)
    const found = pointer
      .slice(2)
      .split('/')
      .reduce<unknown>((place, name) => (place as Json | undefined)?.[name], document)
    assert.ok(found, pointer)
  }
})

const schemas = () =>
  operations().flatMap(({ path, method, operation }) => {
    const bodies = [operation.requestBody, ...Object.values(operation.responses)]
    return [
      ...operation.parameters.map(({ schema }) => schema),
      ...bodies.flatMap((one) => Object.values(one?.content ?? {}).map(({ schema }) => schema)),
    ].map((schema) => ({ schema, where: `${method} ${path}` }))
  })

const referencesOf = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return []
  const { $ref } = value as { $ref?: unknown }
  return [...(typeof $ref === 'string' ? [$ref] : []), ...Object.values(value).flatMap(referencesOf)]
}

test('every parameter and every property says what it means', () => {
  const silent = operations().flatMap(({ operation }) =>
    operation.parameters
      .filter(({ description }) => !description)
      .map(({ name }) => `${operation.operationId} ${name}`),
  )
  assert.deepEqual(silent, [])
  const { Problem } = (document.components as { schemas: Record<string, Json> }).schemas
  for (const { schema, where } of [...schemas(), { schema: Problem as Json, where: 'Problem' }])
    assert.deepEqual(silentIn(schema, where), [])
})

/** The properties of a schema, and of those inside it, that do not say what they mean. */
const silentIn = (schema: Json, where: string): string[] => {
  const inside = [schema.items, schema.additionalProperties, schema.anyOf, schema.oneOf, schema.allOf].flat()
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>)
  return [
    ...inside.flatMap((one) => (typeof one === 'object' && one !== null ? silentIn(one as Json, where) : [])),
    ...properties.flatMap(([name, property]) => {
      const here = `${where} ${name}`
      const { description } = property
      const told = typeof description === 'string' && description.length > 3
      return [...(told ? [] : [here]), ...silentIn(property, here)]
    }),
  ]
}

test('every JSON that is sent or answered has an example, and every failure one of its own status', () => {
  const { examples } = document.components as { examples: Record<string, { value: Json }> }
  const { Problem } = (document.components as { schemas: Record<string, Json> }).schemas
  const fits = new Ajv2020({ strict: false }).compile(Problem as Json)
  for (const { path, method, operation } of operations()) {
    const where = `${method} ${path}`
    for (const [status, { content = {} }] of [
      ['body', operation.requestBody ?? {}] as const,
      ...Object.entries(operation.responses),
    ])
      for (const [type, { example, examples: named }] of Object.entries(content)) {
        if (type === 'application/problem+json') {
          assert.deepEqual(named, { [status]: { $ref: `#/components/examples/Problem${status}` } }, where)
          const value = examples[`Problem${status}`]?.value
          assert.equal(String(value?.status), status, where)
          assert.ok(fits(value), `${where} ${status}`)
        } else if (type === 'application/json' || type.endsWith('+json'))
          assert.notEqual(example, undefined, `${where} ${status}`)
      }
    const failures = Object.keys(operation.responses).filter((status) => /^[45]/.test(status))
    for (const status of ['400', '401', '403', '500', '503']) assert.ok(failures.includes(status), `${where} ${status}`)
    for (const status of failures) assert.ok(operation.responses[status]?.content?.['application/problem+json'], where)
  }
})

test('a failure looks as its example does', async () => {
  const { examples } = document.components as { examples: Record<string, { value: Json }> }
  const answers = [
    await lido.call('GET', '/pools/no-such-pool'),
    await lido.call('POST', '/pools', { surprise: 1 }),
    await lido.call('GET', '/pools', undefined, { Authorization: '' }),
  ]
  for (const { status, body } of answers) {
    const { type, title, ...rest } = examples[`Problem${status}`]?.value ?? {}
    assert.deepEqual([body.type, body.title], [type, title])
    for (const name of Object.keys(rest)) assert.ok(name in body, `${status} ${name}`)
  }
})

test('what it asks for exists: every scope is one that tokens can have', () => {
  const { securitySchemes } = document.components as { securitySchemes: Record<string, Json> }
  const flows = Object.values(securitySchemes.operator?.flows as Record<string, { scopes: Record<string, string> }>)
  assert.equal(flows.length, 2)
  for (const { scopes } of flows)
    for (const { operation } of operations())
      for (const scope of operation.security.flatMap(({ operator }) => operator)) assert.ok(scopes[scope], scope)
})

test('bodies are closed: what is not described is not taken', () => {
  const open = operations().flatMap(({ path, method, operation }) =>
    Object.values(operation.requestBody?.content ?? {}).flatMap(({ schema }) => {
      const alternatives = (schema.anyOf ?? schema.oneOf ?? [schema]) as Json[]
      return alternatives.every((one) => one.additionalProperties === false || one.type === 'string')
        ? []
        : [`${method} ${path}`]
    }),
  )
  assert.deepEqual(open, [])
})

test('the page shows every operation to anyone, without a script', async () => {
  const response = await fetch(`${lido.url}/api/docs`, { headers: { 'Accept-Language': 'de' } })
  const html = await response.text()
  assert.equal(response.status, 200)
  assert.match(response.headers.get('Content-Security-Policy') ?? '', /default-src 'none'/)
  assert.match(response.headers.get('Content-Type') ?? '', /^text\/html/)
  assert.doesNotMatch(html, /<script|undefined|\[object /)
  assert.match(html, /<html lang="de"/)
  assert.match(html, /<pre [^>]*><code>\{\n {2}&quot;/)
  for (const { path, operation } of operations()) {
    assert.ok(html.includes(`id="operation-${operation.operationId}"`), operation.operationId)
    assert.ok(html.includes(`<code>${path}</code>`), path)
  }
  const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
  assert.equal(new Set(ids).size, ids.length)
})
