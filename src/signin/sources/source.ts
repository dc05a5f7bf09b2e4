import type { ZodType } from 'zod'
import type { Identifier } from '../../directory/identifiers.ts'
import type { Services } from '../../services.ts'
import type { Outsider } from '../outsider.ts'

/** What an operator may be told of a fault; never a secret, a password, nor what somebody's answer held. */
export interface Trouble {
  is: 'rate_limited' | 'unavailable' | 'misconfigured'
  /** What is missing or wrong, in a sentence: which scope, which grant type, which flow. */
  detail: string
  /** Seconds after which the source wants to be asked again. */
  retryAfter?: number | undefined
}

/** What a source says of a password. Nothing else is ever said: what is not understood is `unavailable`. */
export type Checked =
  /** The password is right; `must_change`: and may be used only to choose another; `mfa_required`: and is not all. */
  | { is: 'ok' | 'must_change' | 'mfa_required'; user: Outsider }
  /** Whoever this is has to prove their address and choose a password; this one says nothing. */
  | { is: 'must_reset'; user: Outsider | undefined }
  | { is: 'invalid' | 'not_found' | 'blocked' }
  | Trouble

/** What a source says of an identifier. */
export type Found = { is: 'ok'; user: Outsider } | { is: 'not_found' | 'blocked' } | Trouble

/** One thing that was tried of a source or an upstream, for the operator who set it up. */
export interface Tried {
  name: string
  ok: boolean
  detail: string
}

/** A source with its settings, ready to be asked. Nothing here throws: a fault is an answer. */
export interface OpenSource {
  /** `identifier.typed` is what the person typed, for sources that mind its case; `ip` is theirs. */
  check(asked: { identifier: Identifier; password: string; ip: string }): Promise<Checked>
  find(asked: { identifier: Identifier }): Promise<Found>
  /** Tries the settings without anybody's password. */
  test(): Promise<Tried[]>
  /** Everybody there, page by page, where the source can list them. */
  list?(cursor: string | undefined): Promise<{ is: 'ok'; users: Outsider[]; next: string | undefined } | Trouble>
}

export type SourceTools = Pick<Services, 'fetch' | 'clock' | 'config' | 'sandbox'>

/** A place that still knows a pool's people. A new one is a file in this folder and a line in index.ts. */
export interface Source<Settings = unknown> {
  readonly name: string
  /** Checks what an operator types; the console draws its form from it. */
  readonly settings: ZodType<Settings>
  /** Those of the settings that are kept sealed and never shown again. */
  readonly secrets: readonly string[]
  open(settings: Settings, tools: SourceTools): OpenSource
}
