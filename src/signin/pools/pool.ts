import type { Identifier } from '../../directory/identifiers.ts'
import type { User } from '../../directory/users.ts'

/** Someone who may yet prove who they are. */
export interface Known {
  is: 'user'
  identifier: Identifier
  user: User
}
/** A stranger meets the same pages and words as everyone; no proof of theirs succeeds, and no type lets them in. */
export type Subject = Known | { is: 'stranger'; identifier: Identifier }

/** What a proof brought along. Never a password: its hash, at most. */
export interface Evidence {
  passwordHash?: string | undefined
  /** The password was set by somebody else, and only leads on to a new one. */
  mustChange?: boolean | undefined
}

/** What sign-in asks of a pool whose people prove who they are on our pages. No other code asks which kind it is. */
export interface HomePool {
  /** `found` is whoever of the pool goes by the identifier, as it was read with the attempt. */
  identify(identifier: Identifier, found: User | undefined): Promise<Subject>
  checkPassword(subject: Subject, password: string): Promise<Evidence | undefined>
  /** Lets someone in whose proofs are enough, and keeps what the proofs brought along. */
  admit(known: Known, evidence: Evidence): Promise<User>
}
