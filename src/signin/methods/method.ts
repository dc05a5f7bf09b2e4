import type { ZodType } from 'zod'
import type { Pool } from '../../directory/pools.ts'
import type { User } from '../../directory/users.ts'
import type { Attempt, Factor } from '../attempt.ts'
import type { Form, Word } from '../form.ts'
import type { Closed, Evidence, HomePool, Subject } from '../pools/pool.ts'
import type { Scene } from '../scene.ts'

/** Who is asked to prove themselves, and where. */
export interface Asking {
  scene: Scene
  attempt: Attempt
  pool: Pool
  home: HomePool
  subject: Subject
}

/** Who might be asked, before an attempt has come that far. */
export type Offering = Pick<Asking, 'scene' | 'pool' | 'subject'>

/** Who gets one more way to prove themselves; `boundTo` is the attempt, or whatever else the enrolment happens in. */
export interface Enrolling {
  scene: Scene
  pool: Pool
  user: User
  boundTo: string
}

/** What an answer that is not taken is, where nobody outside is asked. */
export interface Refused {
  ok: false
  why: 'wrong' | 'expired'
}

/** `factors` and `amr` where this one proof was more or less than the method always is: a passkey that knows its user. */
export type Verdict =
  | { ok: true; evidence: Evidence; factors?: Factor[]; amr?: string[]; left?: number }
  | Refused
  | { ok: false; why: Closed }

/** A way to prove who you are. A new one is a file in this folder and a line in index.ts. */
export interface Method<Pending = unknown, Saved = unknown, Begun = unknown> {
  /** Also the kind of the credentials that belong to it. */
  readonly name: string
  /** RFC 8176. */
  readonly amr: string
  readonly factors: Factor[]
  /** Whether nobody in between can pass the proof on to us; absent where somebody can. */
  readonly phishingResistant?: true
  /** Whether too many failures of the account close this method too; a code of ours has tries of its own. */
  readonly guarded: boolean
  /** What a credential of it holds, so that a new method needs no migration. */
  readonly saved: ZodType<Saved>
  /** What is kept until the answer comes. */
  readonly pending: ZodType<Pending>
  /**
   * Could this person use it now? Asked of a stranger for everybody who has not proven anything yet, so that a page never
   * tells what somebody holds: a stranger gets the commonest answer.
   */
  offered(at: Offering): boolean
  /** Sends what has to be sent before an answer can come; undefined where too much was sent already. */
  challenge?(at: Asking): Promise<Pending | undefined>
  /** What to show while the answer is awaited; showing does nothing else. */
  form(at: Asking, pending: Pending, error: Word | undefined): Form
  /** A wrong answer is a verdict, not an error. */
  verify(at: Asking, answer: Record<string, string>, pending: Pending): Promise<Verdict>
  /** How somebody gets it, for those that are got: at sign-in, at registration, on the account page. */
  readonly enrol?: Enrolment<Begun>
}

/** What an enrolment made, which whoever asked for it stores; and what it proved, where that differs from the method. */
export type Enrolled =
  | { ok: true; credential: { kind: string; data: Record<string, unknown> }; factors?: Factor[]; amr?: string[] }
  | { ok: false; why: 'wrong' | 'expired' }

/** How somebody gets a new way to prove themselves. */
export interface Enrolment<Begun = unknown> {
  /** Whether somebody may have more than one. */
  readonly several?: true
  /** What is kept until it is complete; a secret among it is sealed. */
  readonly begun: ZodType<Begun>
  begin(at: Enrolling): Promise<Begun>
  /** What to show until then; showing does nothing else. */
  form(at: Enrolling, begun: Begun, error: Word | undefined): Form
  /** The answer proves that they have it now: it counts as a proof of the method. */
  complete(at: Enrolling, answer: Record<string, string>, begun: Begun): Promise<Enrolled>
}

/** The credentials of a method that somebody holds; what cannot be read any more is not held. */
export const heldOf = <Saved>(
  { credentials }: Pick<User, 'credentials'>,
  { name, saved }: Pick<Method<unknown, Saved>, 'name' | 'saved'>,
): { id: string; data: Saved }[] =>
  credentials.flatMap(({ id, kind, data }) => {
    const read = kind === name ? saved.safeParse(data) : undefined
    return read?.success ? [{ id, data: read.data }] : []
  })
