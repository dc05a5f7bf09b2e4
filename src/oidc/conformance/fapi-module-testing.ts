import assert from 'node:assert/strict'
import { sha256 } from '../../platform/secrets.ts'
import { now } from '../signer-testing.ts'
import type { Change, FapiSuite } from './fapi-testing.ts'

/** A module of the FAPI 2.0 plans; its name without `fapi2-security-profile-final-`. */
export interface FapiModule {
  name: string
  says: string
  run(suite: FapiSuite): Promise<void>
}

/** What may be refused where it is pushed, or where the browser brings it, but never gives a code. */
export const neverCode = async (suite: FapiSuite, change: Change, errors: string[]): Promise<void> => {
  const { status, body } = await suite.push(suite.first, change)
  assert(status >= 400 && status < 500, String(status))
  assert(errors.includes(String(body.error)), String(body.error))
}

/** What a client gets that has not proven itself: the suite takes either status and either error. */
export const unproven: Wanted = [[400, 401], 'invalid_client', 'invalid_request']

export type Wanted = [number | number[], ...string[]]

/** The status and one of the errors that an answer has to have. */
export const refusedAt = (status: number, error: string | undefined, [wanted, ...errors]: Wanted): void => {
  assert([wanted].flat().includes(status), String(status))
  assert(errors.includes(error ?? ''), error)
}

/** Something that PAR refuses. */
export const pushRefused = (
  name: string,
  says: string,
  change: Change | (() => Promise<Change>),
  ...errors: string[]
): FapiModule => ({
  name,
  says,
  run: async (suite) => neverCode(suite, typeof change === 'function' ? await change() : change, errors),
})

/** Something that goes the whole way. */
export const goesThrough = (name: string, says: string, change: Change | (() => Change)): FapiModule => ({
  name,
  says,
  run: async (suite) => {
    await suite.whole(suite.first, typeof change === 'function' ? change() : change)
  },
})

/** An artifact's time is over, for the engine as for the database. */
export const expire = async ({ lido }: FapiSuite, kept: string): Promise<void> => {
  const { db } = lido.services
  const row = await db.selectFrom('artifacts').selectAll().where('id', '=', sha256(kept)).executeTakeFirstOrThrow()
  const payload = JSON.stringify({ ...(row.payload as object), exp: now() - 1 })
  await db.updateTable('artifacts').set({ payload }).where('id', '=', sha256(kept)).execute()
}

/** What an answer says of what is wrong. */
export const said = ({ status, body }: { status: number; body: { error?: string } }): [number, string | undefined] => [
  status,
  body.error,
]
