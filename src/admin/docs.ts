import type { Context } from 'koa'
import { setPageHeaders } from '../platform/http/headers.ts'
import { type Brand, openRender } from '../platform/http/render.ts'
import { chooseLanguage, wordsFor } from '../platform/words.ts'
import type { Services } from '../services.ts'
import type { Json } from './openapi.ts'

/** A field of a body or an answer, or a parameter; those inside others are named with dots. */
interface Row {
  name: string
  type: string
  /** Whether a request has to have it. */
  needed: boolean
  meaning: Prose
}

/** A sentence cut at its backticks. */
type Prose = { code: boolean; text: string }[]

interface Operation {
  id: string
  method: string
  path: string
  summary: string
  scope: string
  parameters: Row[]
  body: Row[]
  /** A body as JSON; null where there is none. */
  bodyExample: string | null
  answer: Row[]
  answerExample: string | null
  status: string
  problems: { status: string; meaning: Prose }[]
}

/** Draws the OpenAPI document as a page, by our own template and without a script. */
export const showDocs = (ctx: Context, { config }: Services, document: Json): void => {
  const words = wordsFor(chooseLanguage({ acceptLanguage: ctx.get('Accept-Language') }))
  const nonce = setPageHeaders(ctx)
  ctx.set('Content-Language', words.lang)
  ctx.type = 'html'
  const resource = `${config.publicUrl}/api/v1`
  ctx.body = render('api/docs', { words, brand: lido, nonce, resource, resources: resourcesOf(document) })
}

/** What the page is drawn from: the operations of a document by their tags. */
const resourcesOf = (document: Json): { name: string; operations: Operation[] }[] => {
  const all = Object.entries(document.paths as Record<string, Json>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation: operation as Json })),
  )
  return (document.tags as { name: string }[]).map(({ name }) => ({
    name,
    operations: all.filter(({ operation }) => (operation.tags as string[]).includes(name)).map(operationOf),
  }))
}

const render = openRender()
const lido: Brand = { name: 'Lido', logo: null, color: '#1f6feb', links: [] }

const operationOf = ({ path, method, operation }: { path: string; method: string; operation: Json }): Operation => {
  const responses = Object.entries(operation.responses as Record<string, Json>)
  const [status = '', success = {}] = responses.find(([code]) => code.startsWith('2')) ?? []
  const [security] = operation.security as { operator: string[] }[]
  return {
    id: String(operation.operationId),
    method: method.toUpperCase(),
    path,
    summary: String(operation.summary),
    scope: security?.operator.join(' ') ?? '',
    parameters: (operation.parameters as Json[]).map(parameterRow),
    body: fieldsOf(contentOf(operation.requestBody).schema),
    bodyExample: exampleOf(operation.requestBody),
    answer: fieldsOf(contentOf(success).schema).map((row) => ({ ...row, needed: false })),
    answerExample: exampleOf(success),
    status,
    problems: responses
      .filter(([code]) => code !== status)
      .map(([code, { description }]) => ({ status: code, meaning: proseOf(description) })),
  }
}

const contentOf = (holder: unknown): { schema: Json; example?: unknown } => {
  const { content = {} } = (holder ?? {}) as { content?: Record<string, { schema: Json; example?: unknown }> }
  return Object.values(content)[0] ?? { schema: {} }
}

const exampleOf = (holder: unknown): string | null => {
  const { example } = contentOf(holder)
  return example === undefined ? null : JSON.stringify(example, null, 2)
}

const parameterRow = ({ name, in: place, required, schema, description }: Json): Row => ({
  name: place === 'path' ? `{${name}}` : place === 'query' ? `?${name}=` : String(name),
  type: typeOf(schema as Json),
  needed: required === true,
  meaning: proseOf(description),
})

/** A row for each property, and after it those inside it. */
const fieldsOf = (schema: Json, prefix = ''): Row[] => {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(properties).flatMap(([name, property]) => [
    {
      name: prefix + name,
      type: typeOf(property),
      needed: required.includes(name),
      meaning: proseOf(property.description),
    },
    ...insideOf(property, prefix + name),
  ])
}

const insideOf = (schema: Json, name: string): Row[] => {
  if (schema.type === 'array') return insideOf((schema.items ?? {}) as Json, `${name}[]`)
  const [inner] = alternativesOf(schema).filter(({ type }) => type !== 'null')
  return inner ? insideOf(inner, name) : fieldsOf(schema, `${name}.`)
}

const alternativesOf = ({ anyOf, oneOf }: Json): Json[] => (anyOf ?? oneOf ?? []) as Json[]

/** A type in a few letters: `string`, `uuid`, `owner | admin`, `uuid[] | null`. */
const typeOf = (schema: Json): string => {
  const alternatives = alternativesOf(schema)
  if (alternatives.length > 0) return [...new Set(alternatives.map(typeOf))].join(' | ')
  if (Array.isArray(schema.enum)) return schema.enum.map(String).join(' | ')
  if (schema.const !== undefined) return String(schema.const)
  if (Array.isArray(schema.type)) return schema.type.join(' | ')
  if (schema.type === 'array') return arrayOf(typeOf((schema.items ?? {}) as Json))
  return String(schema.format ?? schema.type ?? 'any')
}

const arrayOf = (item: string): string => (item.includes(' ') ? `(${item})[]` : `${item}[]`)

const proseOf = (text: unknown): Prose =>
  typeof text === 'string'
    ? text.split('`').flatMap((part, index) => (part === '' ? [] : [{ code: index % 2 === 1, text: part }]))
    : []
