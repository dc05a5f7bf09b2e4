import type { OperationName } from './operations.ts'

/** What an operation may cost: its throughput against the bare engine's at 32 at once, its statements one at a time. */
export interface Budget {
  name: OperationName
  title: string
  ratio?: number
  statements?: number
}

export const budgets: Budget[] = [
  { name: 'discovery', title: 'discovery', ratio: 0.95, statements: 0 },
  { name: 'jwks', title: 'JWKS', ratio: 0.95, statements: 0 },
  { name: 'client_credentials', title: 'client_credentials (JWT)', ratio: 0.85, statements: 1 },
  { name: 'client_credentials_es256', title: 'client_credentials (ES256)', ratio: 0.75, statements: 1 },
  { name: 'client_credentials_eddsa', title: 'client_credentials (EdDSA)', ratio: 0.75, statements: 1 },
  { name: 'refresh', title: 'refresh with rotation', ratio: 0.5, statements: 5 },
  { name: 'userinfo', title: 'userinfo', ratio: 0.5, statements: 2 },
  { name: 'introspection', title: 'introspection', ratio: 0.5, statements: 2 },
  { name: 'device_poll', title: 'device polling', ratio: 0.4, statements: 2 },
  { name: 'token_exchange', title: 'token exchange', statements: 2 },
  { name: 'page', title: 'sign-in page (authorize + page)', ratio: 0.7, statements: 2 },
  { name: 'pushed_code', title: 'PAR and code, signed in', ratio: 0.5, statements: 7 },
  { name: 'sign_in_unhashed', title: 'whole sign-in, hash left out', ratio: 0.5, statements: 12 },
  { name: 'sign_in', title: 'whole sign-in', statements: 12 },
  { name: 'sign_in_code', title: 'whole sign-in by a mailed code', statements: 20 },
  { name: 'sign_in_passkey', title: 'whole sign-in by a passkey', statements: 12 },
]

/** Of the argon2id verifies that the core can do, so many sign-ins. */
export const signInsPerVerify = 0.55

/** Milliseconds of a token request under 16 looping sign-ins. */
export const underStorm = { p50: 1.5, p99: 15 }

/** Milliseconds until ready. */
export const readyWithin = 600

const megabyte = 2 ** 20
/** Bytes of the process. */
export const memory = {
  idle: 130 * megabyte,
  busy: 250 * megabyte,
  manyWorkspaces: 300 * megabyte,
  manyClients: 50 * megabyte,
}

/** How much a request may cost more among a thousand times as many users. */
export const growth = 1.1

/** How much a question of operators may cost more among a thousand times as many users. */
export const adminGrowth = 1.5

/** Rows a second, and bytes of the server above what it had before. */
export const importing = { rowsPerSecond: 1000, memory: 100 * megabyte }
