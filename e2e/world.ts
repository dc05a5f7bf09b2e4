import { randomBytes } from 'node:crypto'
import * as connections from '../src/directory/connections.ts'
import * as credentials from '../src/directory/credentials.ts'
import { readIdentifier } from '../src/directory/identifiers.ts'
import * as pools from '../src/directory/pools.ts'
import * as users from '../src/directory/users.ts'
import * as workspaces from '../src/directory/workspaces.ts'
import * as keys from '../src/oidc/keys.ts'
import type { TestLido } from '../src/testing.ts'

export const password = 'correct horse battery staple'

/** A name that no other story uses. */
export const fresh = (name: string): string => `${name}-${randomBytes(5).toString('hex')}`
export const freshEmail = (name = 'ada'): string => `${fresh(name)}@example.org`

type PoolWanted = Omit<Parameters<typeof pools.create>[2], 'slug'> & { domains?: string[]; hidden?: boolean }
type WorkspaceWanted = Omit<Parameters<typeof workspaces.create>[2], 'slug'>

/** A workspace of a story's own, with its pools connected in order. */
export interface World {
  id: string
  slug: string
  pools: pools.Pool[]
}

export const makeWorkspace = async (
  { services: { db, clock, keyring } }: TestLido,
  { name, settings = {} }: WorkspaceWanted,
  wanted: PoolWanted[],
): Promise<World> => {
  const at = clock.now()
  const { id, slug } = await workspaces.create(db, at, { slug: fresh('story'), name, settings })
  await keys.generate(db, keyring, at, id)
  const made: pools.Pool[] = []
  for (const [position, { domains = [], hidden = false, ...pool }] of wanted.entries()) {
    const created = await pools.create(db, at, { slug: fresh('pool'), ...pool })
    await connections.create(db, at, id, { pool_id: created.id, name: pool.name, position, domains, hidden })
    made.push(created)
  }
  return { id, slug, pools: made }
}

/** The workspace of the demo application, which is open to registration. */
export const demoWorkspace = async ({ services: { db } }: TestLido): Promise<World> => {
  const found = await workspaces.findBySlug(db, 'demo')
  if (!found) throw new Error('There is no demo workspace.')
  return { id: found.id, slug: found.slug, pools: found.connections.map(({ pool }) => pool) }
}

/** Somebody who registered long ago, and signs in with `password`; answers their address. */
export const makePerson = async (
  { services: { db, clock, passwords } }: TestLido,
  pool: pools.Pool | undefined,
  email = freshEmail(),
): Promise<string> => {
  const identifier = readIdentifier(email, ['email'])
  if (!identifier || !pool) throw new Error(`Nobody can be made of "${email}".`)
  const person = { identifier, status: 'active', verified: true, profile: { given_name: 'Ada' } } as const
  const at = clock.now()
  const id = await users.create(db, at, pool.id, person)
  if (!id) throw new Error(`There is a person at ${email} already.`)
  await credentials.setPassword(db, at, pool.id, id, await passwords.hash(password))
  return email
}
