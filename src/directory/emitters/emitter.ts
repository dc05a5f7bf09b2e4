import type { ExportedUser } from '../exports.ts'
import type { Pool } from '../pools.ts'
import type { IdentifierRecord } from '../user-records.ts'

/** How users are written down: for an import here, or for another system's. */
export interface Emitter {
  name: 'csv' | 'ndjson' | 'auth0' | 'keycloak' | 'cognito'
  /** For people who choose one. */
  title: string
  /** Media type. */
  type: 'text/csv' | 'application/x-ndjson' | 'application/json'
  /** What a file of it is called at the end. */
  ending: string
  /** Whether it has a place for password hashes. */
  hashes: boolean
  /** The text of all users, in pieces of a page each. */
  write(pool: Pool, pages: AsyncIterable<ExportedUser[]>, withHashes: boolean): AsyncIterable<string>
}

/** What somebody goes by, the first of each kind apart from the others. */
export const goesBy = ({ user: { identifiers } }: ExportedUser) => {
  const first = (wanted: string) => identifiers.find(({ kind }) => kind === wanted)
  const [email, mobile, username] = [first('email'), first('mobile'), first('username')]
  const others = identifiers.filter((one) => ![email, mobile, username].includes(one))
  return { email, mobile, username, others: others.map(({ value }: IdentifierRecord) => value) }
}

/** Objects as a list in JSON, an object a line, between two texts. */
export const listed = async function* (
  before: string,
  pages: AsyncIterable<unknown[]>,
  after: string,
): AsyncIterable<string> {
  let start = before
  for await (const page of pages) {
    for (const one of page) {
      yield `${start}${JSON.stringify(one)}`
      start = ',\n'
    }
  }
  yield start === before ? `${before}${after}` : after
}
