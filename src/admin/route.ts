import type { Readable } from 'node:stream'
import { z } from 'zod'
import type { Services } from '../services.ts'
import type { Actor } from './access.ts'

/** What a handler is given: everything checked, nothing raw. */
export interface Call<Params, Query, Body> {
  params: Params
  query: Query
  body: Body
  actor: Actor
  services: Services
  at: Date
  /** The ETag that the caller's change is meant for, if it named one (RFC 9110 section 13.1.1). */
  ifMatch: string | undefined
  /** The body of a route that reads its own, with which of its types it is. */
  upload: { type: string | undefined; stream: Readable }
}

/** What a route answers that is sent as it is made. */
export interface Download {
  type: string
  filename: string
  stream: Readable
}

/** What a handler answers with; `body` is checked against the route's answer, so nothing leaks by accident. */
export interface Answer<Body> {
  body: Body
  etag?: string
  /** Where the new thing is, below the API's root. */
  location?: string
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

interface Definition<
  M extends Method,
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  A extends z.ZodType,
> {
  method: M
  /** Below the API's root, with parameters in braces as in OpenAPI. */
  path: string
  /** The operation id. */
  name: string
  summary: string
  /** What a token needs, besides `admin` which is enough for everything. */
  scope: `${string}:${'read' | 'write'}`
  params: P
  query?: Q
  /** Of a patch, what the whole record is after it: the handler gets the patch as sent and uses `patchedBy`. */
  body?: B
  /** Instead of a body: the types of an upload, which the handler reads as it comes. */
  upload?: readonly string[]
  /** Instead of an answer: the types of a download, which the handler answers as it is made. */
  download?: readonly string[]
  /** Absent where nothing is answered (204). */
  answer?: A
  status: 200 | 201 | 202 | 204
  handle(
    call: Call<z.output<P>, z.output<Q>, M extends 'PATCH' ? Record<string, unknown> : z.output<B>>,
  ): Promise<Answer<z.input<A>> | Download> | (A extends z.ZodUndefined ? Promise<void> : never)
}

/** A route as the router, the OpenAPI document and the tests read it. */
export interface Route {
  method: Method
  path: string
  name: string
  summary: string
  scope: string
  params: z.ZodObject
  query: z.ZodObject
  body: z.ZodType | undefined
  upload: readonly string[] | undefined
  download: readonly string[] | undefined
  answer: z.ZodType | undefined
  status: number
  handle(call: Call<never, never, never>): Promise<Answer<unknown> | Download>
}

const nothing = z.strictObject({})

/** Declares a route; from the declaration come its checks, its documentation and the tests that every route passes. */
export const route = <
  M extends Method,
  P extends z.ZodObject,
  Q extends z.ZodObject = typeof nothing,
  B extends z.ZodType = z.ZodUndefined,
  A extends z.ZodType = z.ZodUndefined,
>(
  definition: Definition<M, P, Q, B, A>,
): Route => ({
  ...definition,
  query: definition.query ?? nothing,
  body: definition.body,
  upload: definition.upload,
  download: definition.download,
  answer: definition.answer,
  handle: async (call) => (await definition.handle(call)) ?? { body: undefined },
})

/** A list's own query fields, with whatever else it filters by. */
export const listQuery = <Shape extends z.core.$ZodLooseShape>(filters: Shape) =>
  z.strictObject({
    limit: z.coerce.number().int().min(1).max(200).default(50).describe('How many at most'),
    cursor: z.string().max(1000).optional().describe('`next_cursor` of the page before'),
    ...filters,
  })

/** A page of a list. */
export const listOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), next_cursor: z.string().nullable() })
