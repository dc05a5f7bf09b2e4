import type { ZodType } from 'zod'
import type { Services } from '../../services.ts'
import type { Outsider } from '../outsider.ts'
import type { Tried } from '../sources/source.ts'

/** Somebody who is sent to prove who they are elsewhere. */
export interface Departing {
  /** Where they come back to: `{PUBLIC_URL}/callback/{connection}`. */
  callback: string
  /** Unguessable, and bound to this browser and connection by whoever calls; comes back as `state` or `RelayState`. */
  state: string
  /** What they go by, where they have said so. */
  loginHint?: string | undefined
  /** Whether they must prove themselves anew although they are signed in there. */
  fresh?: boolean | undefined
  /** Seconds since they proved themselves there, at most. */
  maxAge?: number | undefined
  acrValues?: string[] | undefined
  lang?: string | undefined
  /** Whether what is told of them will be asked for again while they are signed in here. */
  renewable?: boolean | undefined
}

/** What the browser brought back: the parameters of the address, or the fields of the form. */
export interface Returned {
  method: 'GET' | 'POST'
  /** Each parameter once; where one came twice, nothing comes here. */
  fields: Record<string, string>
}

/** Somebody who proved who they are at an upstream. */
export interface Arrived {
  is: 'ok'
  user: Outsider
  acr?: string | undefined
  amr?: string[] | undefined
  /** When they proved themselves there. */
  at?: Date | undefined
  /** What signing out there needs later, such as an ID token or a SAML session index; sealed by whoever calls. */
  session?: unknown
  /** What it is asked again with, where that was wanted and it gave something; a secret, sealed by whoever calls. */
  renewal?: unknown
}

/**
 * What came of asking again: somebody, a fault, or that they are not signed in there any more. `renewal` takes the place of
 * the one before, also where nothing else was told.
 */
export type Renewed = Arrived | (NotArrived & { renewal?: unknown }) | { is: 'ended' }

/** Why somebody could not be let in; `detail` is for operators and holds no secret, token or personal data. */
export interface NotArrived {
  is: 'denied' | 'refused' | 'unavailable' | 'misconfigured'
  detail: string
}

/** An upstream with its settings. Nothing here throws: a fault is an answer. */
export interface OpenUpstream {
  /** Where to send the browser, and what has to be kept (sealed, used once) until it comes back. */
  depart(at: Departing): Promise<{ is: 'ok'; to: URL; keep: unknown } | NotArrived>
  arrive(returned: Returned, kept: unknown, at: Pick<Departing, 'callback' | 'state'>): Promise<Arrived | NotArrived>
  /** Asks again who somebody is that it told of before, where the upstream can; what it is asked with may be good once. */
  renew?(renewal: unknown): Promise<Renewed>
  /** Where to send a browser that signs out, where the upstream can. */
  leave?(session: unknown, at: { back: string; state: string }): Promise<URL | undefined>
  test(): Promise<Tried[]>
  /** What the other side has to be given, such as SAML metadata. */
  metadata?(callback: string): { type: string; body: string }
}

export type UpstreamTools = Pick<Services, 'fetch' | 'clock' | 'config'> & {
  /**
   * Whether something is seen for the first time, of twenty at once for one: assertion ids and the like. Kept until then.
   */
  once(key: string, until: Date): Promise<boolean>
}

/** An identity provider that people come from. A new one is a file in this folder and a line in index.ts. */
export interface Upstream<Settings = unknown> {
  readonly name: string
  /** Checks what an operator types; the console draws its form from it. */
  readonly settings: ZodType<Settings>
  /** Those of the settings that are kept sealed and never shown again. */
  readonly secrets: readonly string[]
  /** Whether it may be asked again who somebody is while they are signed in here. */
  readonly renews?: boolean
  open(settings: Settings, tools: UpstreamTools): OpenUpstream
}
