import { parseArgs } from 'node:util'
import { type OperationName, operationNames } from './operations.ts'

/** What `npm run bench -- …` was asked for. */
export interface Flags {
  operations: OperationName[]
  /** What is measured besides operations. */
  extras: Extra[]
  levels: number[]
  /** Milliseconds of a slice at few and at 32 at once, and how many slices. */
  few: number
  most: number
  slices: number
  storm: number
  starts: number
  workspaces: number
  clients: number
  /** Among how many users operators ask, and how many users are brought in. */
  users: number
  rows: number
  /** How many users to grow to; 0 leaves it out. */
  growth: number
  json: string | undefined
  /** A folder for CPU profiles of the servers at 32 at once. */
  profile: string | undefined
}

const extras = ['storm', 'startup', 'workspaces', 'clients', 'admin', 'import', 'sandbox', 'migration'] as const
export type Extra = (typeof extras)[number]

const usage = `npm run bench -- [--quick] [--only=NAME,…] [--growth[=USERS]] [--users=USERS] [--rows=ROWS]
  [--json=FILE] [--profile=FOLDER]
names: ${[...operationNames, ...extras].join(' ')}`

/** Reads the command line; throws with the usage where it asks for something unknown. */
export const readFlags = (args: string[]): Flags => {
  const { values } = parseArgs({
    args: args.map((arg) => (arg === '--growth' ? '--growth=1000000' : arg)),
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      growth: { type: 'string', default: '0' },
      users: { type: 'string' },
      rows: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  })
  const { quick, only, growth, users, rows, json, profile } = values
  const wanted = new Set(only?.split(',') ?? [...operationNames, ...extras])
  for (const name of wanted) if (!isKnown(name)) throw new Error(`There is no "${name}" to measure.\n${usage}`)
  return {
    operations: operationNames.filter((name) => wanted.has(name)),
    extras: extras.filter((name) => wanted.has(name)),
    ...(quick ? short : long),
    ...(users ? { users: Number(users) } : {}),
    ...(rows ? { rows: Number(rows) } : {}),
    growth: Number(growth),
    json,
    profile,
  }
}

const isKnown = (name: string) => [...operationNames, ...extras, 'none'].includes(name)

const long = {
  levels: [1, 8, 32],
  few: 600,
  most: 1200,
  slices: 2,
  storm: 5000,
  starts: 5,
  workspaces: 2000,
  clients: 10_000,
  users: 1_000_000,
  rows: 100_000,
}
const short = {
  levels: [1, 32],
  few: 300,
  most: 500,
  slices: 1,
  storm: 2000,
  starts: 2,
  workspaces: 200,
  clients: 1000,
  users: 20_000,
  rows: 5000,
}
