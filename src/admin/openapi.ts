import { z } from 'zod'
import { allScopes } from '../directory/operators.ts'
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
  parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query'), ...headersOf(route)],
  ...(route.body ? { requestBody: { required: true, content: bodyOf(route) } } : {}),
  ...(route.upload ? { requestBody: { required: true, content: textsOf(route.upload) } } : {}),
  responses: { [route.status]: successOf(route), ...problemsOf(route) },
})

const tagOf = ({ scope }: Route): string => scope.split(':')[0] ?? scope

const parametersOf = (schema: z.ZodObject, place: 'path' | 'query'): Json[] => {
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description ? { description } : {}),
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

const bodyOf = ({ method, body }: Route): Json => {
  const schema = schemaOf(body as z.ZodType, 'input')
  if (method !== 'PATCH') return { 'application/json': { schema } }
  const { required: _, ...patch } = schema
  return { 'application/merge-patch+json': { schema: patch } }
}

const textsOf = (types: readonly string[]): Json =>
  Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' } }]))

const successOf = ({ answer, download, status }: Route): Json => ({
  description: status === 201 ? 'Made' : status === 202 ? 'Begun' : status === 204 ? 'Done' : 'The answer',
  ...(download ? { content: textsOf(download) } : {}),
  ...(answer ? { content: { 'application/json': { schema: schemaOf(answer, 'output') } } } : {}),
})

const problemsOf = ({ body, upload, params, query, method }: Route): Json => {
  const problem = (description: string) => ({
    description,
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  })
  return {
    400: problem('The request could not be understood'),
    401: problem('No access token, or one that is not valid here'),
    403: problem('The scope or the role does not reach'),
    ...(Object.keys(params.shape).length > 0
      ? { 404: problem('Nothing with this id that the caller may know of') }
      : {}),
    ...(method === 'POST' || method === 'PATCH' || method === 'PUT'
      ? { 409: problem('It clashes with something that exists') }
      : {}),
    ...(method === 'PATCH' || method === 'PUT' ? { 412: problem('It was changed since that ETag') } : {}),
    ...(upload ? { 413: problem('It is too much'), 415: problem('This type of content is not read') } : {}),
    ...(body || upload || Object.keys(query.shape).length > 0
      ? { 422: problem('Some values are not valid; `errors` says which') }
      : {}),
  }
}

const problemSchema: Json = {
  type: 'object',
  description: 'RFC 9457',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', examples: ['urn:lido:problem:unprocessable'] },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: { pointer: { type: 'string', examples: ['/profile/given_name'] }, detail: { type: 'string' } },
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
