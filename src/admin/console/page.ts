import type { Readable } from 'node:stream'
import { freshMs } from '../../directory/acr.ts'
import type { ConsoleSession } from '../../directory/console-sessions.ts'
import type { Brand } from '../../platform/http/render.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import { type Actor, may } from '../access.ts'
import type { Json } from '../openapi.ts'
import { type Asked, prepare } from '../perform.ts'
import { resources } from '../resources/index.ts'
import type { Answer, Download, Route } from '../route.ts'

/** One request of an operator's browser, whose session and form are checked. */
export interface Visit {
  services: Services
  session: ConsoleSession
  actor: Actor
  at: Date
  /** The address without its query. */
  path: string
  params: Record<string, string>
  query: Record<string, string>
  /** The fields of a form; empty on a page that is only looked at. */
  form: Record<string, string>
  /** The body of a page that reads its own. */
  upload: { type: string; stream: Readable } | undefined
}

/** A page as it is drawn: its view and the values of it. */
export interface Screen {
  view: string
  title: string
  /** The pages above this one, the topmost first. */
  crumbs?: { title: string; href: string }[]
  status?: number
  values: Json
  /** Whether the page holds a frame with another page of ours. */
  frames?: boolean
}

/** A page of the hosted sign-in as it would be drawn, for a frame of the console. */
export interface Sample {
  view: string
  brand: Brand
  values: Json
}

/** What a page answers with: something to show, a sample of another page or of a mail, another page to go to, or a file. */
export type Outcome =
  | { show: Screen }
  | { sample: Sample }
  | { mail: { html: string } }
  | { to: string; notice?: string }
  | { download: Download }

/** A page of the console. Addresses mirror those of the API; what is no record begins with a tilde, which no slug does. */
export interface ConsolePage {
  method: 'GET' | 'POST'
  /** Below `/console`, with parameters in braces. */
  path: string
  /** Whether only a fresh proof of who it is will do. */
  danger?: boolean
  /** Whether the page reads the body itself, as a form with a file; the form's token then stands in its action's query. */
  upload?: boolean
  handle(visit: Visit): Promise<Outcome> | Outcome
}

/** What a route answered. */
export interface Told {
  body: Json
  etag: string | undefined
}

/** Calls a route of the API for a visit, with all its checks. Throws the problems that the API answers with. */
export const call = async (visit: Visit, name: string, asked: Partial<Asked> = {}): Promise<Told> => {
  const route = getRoute(name)
  const run = prepare(visit.services, visit.actor, route, { params: visit.params, ...asked })
  const { body, etag } = (await run()) as Answer<unknown>
  return { body: route.answer ? (route.answer.parse(body) as Json) : {}, etag }
}

/** Calls a route that answers with a file. */
export const callDownload = async (visit: Visit, name: string, asked: Partial<Asked> = {}): Promise<Download> =>
  (await prepare(visit.services, visit.actor, getRoute(name), { params: visit.params, ...asked })()) as Download

/** A route by its operation id. */
export const getRoute = (name: string): Route => {
  const found = resources.find((route) => route.name === name)
  if (!found) throw new Error(`There is no route ${name}.`)
  return found
}

/** Whether a visit may call a route. */
export const allows = ({ actor }: Visit, name: string): boolean => may(actor, getRoute(name).scope)

/** Whether the operator proved who they are recently enough for what cannot be undone. */
export const isFresh = ({ session, at }: Visit): boolean => at.getTime() - session.provedAt.getTime() < freshMs

/** The errors of a problem by JSON pointer, for the fields of a form; anything that no field can show is thrown on. */
export const faultsFor = (error: unknown): { errors: Record<string, string>; alert: string } => {
  if (!(error instanceof Problem) || ![409, 412, 422].includes(error.status)) throw error
  const errors = Object.fromEntries((error.errors ?? []).map(({ pointer, detail }) => [pointer, detail]))
  return { errors, alert: error.detail ?? error.title }
}
