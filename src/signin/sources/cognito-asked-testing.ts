import assert from 'node:assert/strict'
import { type Identifier, type IdentifierKind, readIdentifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'
import type { CognitoDouble } from './cognito-testing.ts'
import type { Checked, Found } from './source.ts'

export const password = 'canary horse battery staple'
export const ada = { email: 'ada@example.org', email_verified: 'true', name: 'Ada' }

const read = (typed: string, kind: IdentifierKind = 'email'): Identifier =>
  readIdentifier(typed, [kind]) ?? assert.fail(`${typed} is no ${kind}`)

/** What a source is asked about somebody, by email unless told otherwise. */
export const asked = (typed: string, kind?: IdentifierKind, tried = password) => ({
  identifier: read(typed, kind),
  password: tried,
  ip: '203.0.113.7',
})

export const check = (double: CognitoDouble, typed = 'ada@example.org', kind?: IdentifierKind): Promise<Checked> =>
  double.open().check(asked(typed, kind))

export const find = (double: CognitoDouble, typed = 'ada@example.org', kind?: IdentifierKind): Promise<Found> =>
  double.open().find({ identifier: read(typed, kind) })

/** Who an answer is about; fails where it tells of nobody. */
export const userOf = (answer: Checked | Found): Outsider =>
  'user' in answer && answer.user ? answer.user : assert.fail(JSON.stringify(answer))
