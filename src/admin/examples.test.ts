import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { z } from 'zod'
import { patchedBy } from './check.ts'
import { answerExample, patchExample, requestExample } from './examples.ts'
import { type Json, openapiOf, schemaOf } from './openapi.ts'
import { resources } from './resources/index.ts'
import type { Route } from './route.ts'

interface Content {
  schema: Json
  example?: unknown
}
interface Operation {
  requestBody?: { content: Record<string, Content> }
  responses: Record<string, { content?: Record<string, Content> }>
}

const { paths } = openapiOf(resources, 'https://id.example.org') as { paths: Record<string, Record<string, Operation>> }
const operationOf = ({ path, method }: Route) => paths[path]?.[method.toLowerCase()] as Operation
const contentOf = (content: Record<string, Content> | undefined) => Object.values(content ?? {})[0]
const requestOf = (route: Route) => contentOf(operationOf(route).requestBody?.content)?.example
const answerOf = (route: Route) => contentOf(operationOf(route).responses[route.status]?.content)?.example
const placeOf = ({ name, scope }: Route) => ({ operation: name, resource: scope.split(':')[0] ?? '' })
const things = { operation: 'getThing', resource: 'things' }
const titleOf = ({ method, path }: Route) => `${method} ${path}`

const ajv = new Ajv2020({ strict: false })
formats.default(ajv)

describe('what a route is shown to be sent is what it takes', () => {
  for (const route of resources.filter(({ body }) => body))
    test(titleOf(route), () => {
      const schema = route.body as z.ZodType
      const example = requestOf(route)
      const whole = requestExample(schemaOf(schema, 'input'), placeOf(route))
      if (route.method === 'PATCH') assert.ok(patchedBy(schema, whole as Json, example as Json))
      else assert.deepEqual(schema.safeParse(example).error?.issues, undefined, JSON.stringify(example))
      assert.ok(Object.keys(example as Json).length > 0 || noneNeeded(route), 'it shows something')
    })
})

const noneNeeded = ({ body }: Route) => Object.keys(schemaOf(body as z.ZodType, 'input').properties ?? {}).length === 0

describe('what a route is shown to answer is what it may answer', () => {
  for (const route of resources.filter(({ answer }) => answer))
    test(titleOf(route), () => {
      const example = answerOf(route)
      const { success, error } = (route.answer as z.ZodType).safeParse(example)
      assert.ok(success, `${error?.message} ${JSON.stringify(example)}`)
      assert.ok(!('items' in (example as Json)) || (example as { items: unknown[] }).items.length > 0)
    })
})

describe('every example fits the schema beside it', () => {
  for (const route of resources)
    test(titleOf(route), () => {
      const { requestBody, responses } = operationOf(route)
      const bodies = [requestBody, ...Object.values(responses)].flatMap((one) => Object.values(one?.content ?? {}))
      for (const { schema, example } of bodies)
        if (example !== undefined)
          assert.ok(ajv.validate(schema, example), `${ajv.errorsText()} ${JSON.stringify(example)}`)
    })
})

test('an answer has every field, a request those that it needs', () => {
  const schema = {
    type: 'object',
    properties: { size: { type: 'integer', minimum: 3 }, open: { type: 'boolean' }, kind: { enum: ['a', 'b'] } },
    required: ['kind'],
  }
  assert.deepEqual(answerExample(schema, things), { size: 3, open: true, kind: 'a' })
  assert.deepEqual(requestExample(schema, things), { kind: 'a' })
})

test('a patch shows the first three fields, whatever has to be there', () => {
  const properties = { name: { type: 'string' }, slug: { type: 'string' }, open: { type: 'boolean' }, size: {} }
  const example = patchExample({ type: 'object', properties, required: ['size'] }, things)
  assert.deepEqual(Object.keys(example), ['name', 'slug', 'open'])
})

test('a value that is known for a name is taken only where it fits', () => {
  const slug = (schema: Json) => (answerExample({ type: 'object', properties: { slug: schema } }, things) as Json).slug
  assert.equal(slug({ type: 'string' }), 'shop')
  assert.equal(slug({ type: 'string', maxLength: 3 }), '1')
  assert.equal(slug({ type: 'string', enum: ['fixed'] }), 'fixed')
  assert.equal(slug({ type: 'string', pattern: '^#[0-9a-f]{6}$' }), '#1f6feb')
  assert.equal(slug({ type: 'string', minLength: 20, format: 'uri' }), 'https://app.example.org/')
  assert.equal(slug({ type: 'integer', minimum: 5 }), 5)
  assert.equal(slug({ anyOf: [{ type: 'null' }, { type: 'boolean' }] }), true)
})
