import { z } from 'zod'
import { allScopes } from '../directory/operators.ts'
import { Problem, type ProblemCode } from '../platform/problem.ts'
import { traceExample } from './example-values.ts'
import { answerExample, patchExample, requestExample } from './examples.ts'
import { meaningOf, type Place, withMeanings } from './field-words.ts'
import type { Route } from './route.ts'

/** A part of a document. */
export type Json = Record<string, unknown>

/** The OpenAPI 3.1 document of the routes: made from what checks them, so that it cannot say anything else. */
export const openapiOf = (routes: readonly Route[], origin: string): Json => {
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = paths[route.path] ?? {}
    path[route.method.toLowerCase()] = operationOf(route)
    paths[route.path] = path
  }
  const scopes = Object.fromEntries(allScopes.map((scope) => [scope, sentenceOf(scope)]))
  return {
    openapi: '3.1.0',
    info: { title: 'Lido admin API', version: '1', description: 'Everything an operator does, as JSON.' },
    servers: [{ url: `${origin}/api/v1` }],
    security: [{ operator: [] }],
    tags: [...new Set(routes.map(tagOf))].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: { Problem: problemSchema },
      examples: problemExamples(),
      securitySchemes: {
        operator: {
          type: 'oauth2',
          description: `Access tokens of the admin workspace for the resource ${origin}/api/v1`,
          flows: {
            clientCredentials: { tokenUrl: `${origin}/w/admin/token`, scopes },
            authorizationCode: {
              authorizationUrl: `${origin}/w/admin/authorize`,
              tokenUrl: `${origin}/w/admin/token`,
              scopes,
            },
          },
        },
      },
    },
  }
}

const operationOf = (route: Route): Json => ({
  operationId: route.name,
  summary: route.summary,
  description: `Needs the scope \`${route.scope}\`, or \`admin\`.`,
  tags: [tagOf(route)],
  security: [{ operator: [route.scope] }],
  parameters: [...parametersOf(route, 'path'), ...parametersOf(route, 'query'), ...headersOf(route)],
  ...(route.body ? { requestBody: { required: true, content: bodyOf(route) } } : {}),
  ...(route.upload ? { requestBody: { required: true, content: textsOf(route.upload) } } : {}),
  responses: { [route.status]: successOf(route), ...problemsOf(route) },
})

const placeOf = (route: Route): Place => ({ operation: route.name, resource: tagOf(route) })

const tagOf = ({ scope }: Route): string => scope.split(':')[0] ?? scope

const parametersOf = (route: Route, place: 'path' | 'query'): Json[] => {
  const { properties = {}, required = [] } = schemaOf(place === 'path' ? route.params : route.query, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    description: description ?? meaningOf(name, placeOf(route)),
    schema: property,
  }))
}

const headersOf = ({ method }: Route): Json[] => {
  if (method === 'POST')
    return [
      {
        name: 'Idempotency-Key',
        in: 'header',
        required: false,
        schema: { type: 'string', maxLength: 255 },
        description: 'Asked again with the same key within a day, the request is not done again',
      },
    ]
  if (method === 'PATCH' || method === 'PUT')
    return [
      {
        name: 'If-Match',
        in: 'header',
        required: false,
        schema: { type: 'string' },
        description: 'The ETag that the change is meant for',
      },
    ]
  return []
}

const bodyOf = (route: Route): Json => {
  const place = placeOf(route)
  const schema = withMeanings(schemaOf(route.body as z.ZodType, 'input'), place)
  if (route.method !== 'PATCH') return { 'application/json': { schema, example: requestExample(schema, place) } }
  const { required: _, ...patch } = schema
  return { 'application/merge-patch+json': { schema: patch, example: patchExample(schema, place) } }
}

const textsOf = (types: readonly string[]): Json =>
  Object.fromEntries(
    types.map((type) => [type, type === 'application/json' ? listOfUsers : { schema: { type: 'string' } }]),
  )

// The JSON that comes or goes in pieces is another system's list of its users.
const listOfUsers = {
  schema: {
    type: 'string',
    contentMediaType: 'application/json',
    description: 'Users as the other system writes them',
  },
  example: '[{"user_id":"auth0|5f7c8ec7c33c6c004bbafe82","email":"ada@example.org","email_verified":true}]',
}

const successOf = (route: Route): Json => ({
  description: meaningOfStatus[route.status] ?? 'The answer',
  ...(route.download ? { content: textsOf(route.download) } : {}),
  ...(route.answer ? { content: { 'application/json': answerOf(route, route.answer) } } : {}),
})

const meaningOfStatus: Record<number, string> = { 201: 'Made', 202: 'Begun', 204: 'Done' }

const answerOf = (route: Route, answer: z.ZodType): Json => {
  const place = placeOf(route)
  const schema = withMeanings(schemaOf(answer, 'output'), place)
  return { schema, example: answerExample(schema, place) }
}

const problemsOf = (route: Route): Json =>
  Object.fromEntries(
    [...problems]
      .filter(([, { of }]) => of(route))
      .map(([status, { description }]) => [
        status,
        {
          description,
          content: {
            'application/problem+json': {
              schema: { $ref: '#/components/schemas/Problem' },
              examples: { [status]: { $ref: `#/components/examples/Problem${status}` } },
            },
          },
        },
      ]),
  )

interface Failure {
  code: ProblemCode | 'server_error'
  description: string
  /** Whether a route can end so. */
  of(route: Route): boolean
}

const always = () => true
const sends = ({ body, upload }: Route) => body !== undefined || upload !== undefined
const changes = ({ method }: Route) => method === 'PATCH' || method === 'PUT'

const problems: ReadonlyMap<number, Failure> = new Map([
  [400, { code: 'invalid_request', description: 'The request could not be understood', of: always }],
  [401, { code: 'unauthorized', description: 'No access token, or one that is not valid here', of: always }],
  [403, { code: 'forbidden', description: 'The scope or the role does not reach', of: always }],
  [
    404,
    {
      code: 'not_found',
      description: 'Nothing with this id that the caller may know of',
      of: ({ params }) => Object.keys(params.shape).length > 0,
    },
  ],
  [
    409,
    {
      code: 'conflict',
      description: 'It clashes with something that exists',
      of: (route) => route.method === 'POST' || changes(route),
    },
  ],
  [412, { code: 'precondition_failed', description: 'It was changed since that ETag', of: changes }],
  [413, { code: 'too_large', description: 'It is too much', of: sends }],
  [415, { code: 'unsupported_type', description: 'This type of content is not read', of: sends }],
  [
    422,
    {
      code: 'unprocessable',
      description: 'Some values are not valid; `errors` says which',
      of: (route) => sends(route) || Object.keys(route.query.shape).length > 0,
    },
  ],
  [
    429,
    {
      code: 'too_many_requests',
      description: 'Too often; `Retry-After` says how many seconds to wait',
      of: ({ method }) => method === 'POST',
    },
  ],
  [500, { code: 'server_error', description: 'Something went wrong; `trace` finds it in the log', of: always }],
  [
    503,
    {
      code: 'unavailable',
      description: 'The database cannot be reached; `Retry-After` says how many seconds to wait',
      of: always,
    },
  ],
] satisfies [number, Failure][])

const problemExamples = (): Json =>
  Object.fromEntries(
    [...problems].map(([status, { code, description }]) => {
      const title = code === 'server_error' ? 'Something went wrong' : new Problem(code).title
      const errors = [{ pointer: '/profile/given_name', detail: 'This field is needed' }]
      const value = {
        type: `urn:lido:problem:${code}`,
        title,
        status,
        ...(code === 'unprocessable' ? { errors } : {}),
        trace: traceExample,
      }
      return [`Problem${status}`, { summary: description, value }]
    }),
  )

const problemSchema: Json = {
  type: 'object',
  description: 'RFC 9457',
  required: ['type', 'title', 'status'],
  properties: {
    type: {
      type: 'string',
      description: 'What went wrong, for programs',
      examples: ['urn:lido:problem:unprocessable'],
    },
    title: { type: 'string', description: 'The same for people' },
    status: { type: 'integer', description: 'The status of the answer' },
    detail: { type: 'string', description: 'More about this very failure, where there is more to say' },
    errors: {
      type: 'array',
      description: 'Each value that is not valid',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: {
          pointer: {
            type: 'string',
            description: 'Where the value stands in what was sent (RFC 6901)',
            examples: ['/profile/given_name'],
          },
          detail: { type: 'string', description: 'What is wrong with it' },
        },
      },
    },
    trace: { type: 'string', description: 'The reference of this request in the log' },
  },
}

/** A schema as JSON Schema 2020-12, as what is sent or as what is answered. */
export const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json
  return rest
}

const sentenceOf = (scope: string): string => {
  const [resource, verb] = scope.split(':')
  return verb ? `${verb === 'read' ? 'Read' : 'Change'} ${resource}` : 'Everything'
}
