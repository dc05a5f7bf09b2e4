import assert from 'node:assert/strict'
import { generateSync } from 'otplib'
import type { Browser } from '../browser-testing.ts'
import * as credentials from '../directory/credentials.ts'
import type * as pools from '../directory/pools.ts'
import type { Clock } from '../platform/clock.ts'
import type { TestLido } from '../testing.ts'
import { rowsOf } from './fixtures-testing.ts'

/** A clock that a test moves on: an authenticator's codes are good once, and the next one comes after 30 seconds. */
export const movableClock = (): Clock & { pass(seconds: number): void } => {
  let ahead = 0
  return {
    now: () => new Date(Date.now() + ahead * 1000),
    pass: (seconds) => {
      ahead += seconds
    },
  }
}

/** The code that an authenticator shows for a secret. */
export const codeFor = ({ services }: Pick<TestLido, 'services'>, secret: string, ahead = 0): string =>
  generateSync({ secret, epoch: Math.floor(services.clock.now().getTime() / 1000) + ahead })

const seed = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'

/** Gives somebody an authenticator, as its enrolment would, with the secret of every other one unless told. Answers it. */
export const giveTotp = async (
  { services }: TestLido,
  pool: pools.Pool,
  userId: string,
  secret = seed,
): Promise<string> => {
  const sealed = services.keyring.seal(secret, `totp ${pool.id} ${userId}`)
  const credential = { kind: 'totp', data: { sealed, step: 0 } }
  assert.ok(await credentials.add(services.db, services.clock.now(), pool.id, userId, credential))
  return secret
}

/** The secret that an enrolment shows as text. */
export const secretOn = ({ page }: Browser): string => {
  const [, shown = ''] = page.html.match(/<p class="raw secret"[^>]*>([^<]*)</) ?? []
  assert.match(shown, /^[A-Z2-7 ]{39}$/)
  return shown.replaceAll(' ', '')
}

/** The recovery codes that a page shows. */
export const codesOn = ({ page }: Browser): string[] =>
  [...page.html.matchAll(/<li><code>([^<]*)<\/code>/g)].map(([, code]) => code ?? '')

/** How many credentials of a kind somebody holds. */
export const heldBy = async (lido: TestLido, userId: string): Promise<string[]> =>
  (await rowsOf<{ kind: string }>(lido, `select kind from credentials where user_id = '${userId}' order by kind`)).map(
    ({ kind }) => kind,
  )
