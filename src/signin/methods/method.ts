import type { ZodType } from 'zod'
import type { Pool } from '../../directory/pools.ts'
import type { Attempt, Factor } from '../attempt.ts'
import type { Form, Word } from '../form.ts'
import type { Evidence, HomePool, Subject } from '../pools/pool.ts'
import type { Scene } from '../scene.ts'

/** Who is asked to prove themselves, and where. */
export interface Asking {
  scene: Scene
  attempt: Attempt
  pool: Pool
  home: HomePool
  subject: Subject
}

export type Verdict = { ok: true; evidence: Evidence } | { ok: false; why: 'wrong' | 'expired' }

/** A way to prove who you are. A new one is a file in this folder and a line in index.ts. */
export interface Method<Pending = unknown> {
  readonly name: string
  /** RFC 8176. */
  readonly amr: string
  readonly factors: Factor[]
  /** Whether too many failures of the account close this method too; a code of ours has tries of its own. */
  readonly guarded: boolean
  /** What is kept until the answer comes. */
  readonly pending: ZodType<Pending>
  /** Sends what has to be sent before an answer can come; undefined where too much was sent already. */
  challenge?(at: Asking): Promise<Pending | undefined>
  /** What to show while the answer is awaited; showing does nothing else. */
  form(at: Asking, pending: Pending, error: Word | undefined): Form
  /** A wrong answer is a verdict, not an error. */
  verify(at: Asking, answer: Record<string, string>, pending: Pending): Promise<Verdict>
}
