import * as contexts from '../../directory/contexts.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import type { Pool } from '../../directory/pools.ts'
import type { User } from '../../directory/users.ts'
import type { Connection } from '../../directory/workspaces.ts'
import type { Services } from '../../services.ts'
import { asksAgain, learntFrom } from '../learnt.ts'
import type { Outsider } from '../outsider.ts'
import { guardedSource } from '../sources/guarded.ts'
import { adopt } from './adopt.ts'
import { isAway } from './federated.ts'
import { renew } from './renewing.ts'

/** Somebody as they are now, and what was learnt of them outside, where that is kept. */
interface Reloaded {
  user: User
  context: contexts.Context | undefined
}

/**
 * Brings a user up to date who comes from outside: by the source that their pool is kept in step with, or by the upstream
 * that let them in. Undefined where they are not known there any more, or closed, or not signed in there any more; where
 * nobody answers, they stay as they are known here. `find` finds what their sign-in has learnt.
 */
export const reload =
  (services: Services) =>
  async (
    user: User,
    connection: Connection,
    find: () => Promise<contexts.Context | undefined>,
  ): Promise<Reloaded | undefined> => {
    if (isAway(connection.pool)) return fromUpstream(services, user, connection, find)
    const found = await fromSource(services, user, connection.pool)
    if (!found?.outsider) return found && { user: found.user, context: undefined }
    return { user: found.user, context: await learn(services, connection, found.outsider, find) }
  }

const fromUpstream = async (
  services: Services,
  user: User,
  connection: Connection,
  find: () => Promise<contexts.Context | undefined>,
): Promise<Reloaded | undefined> => {
  const context = asksAgain(connection) ? await find() : undefined
  if (!context) return { user, context }
  const outcome = await renew(services, connection, user, context)
  if (outcome.is === 'over') return undefined
  return { user: outcome.is === 'told' ? outcome.user : user, context: outcome.context }
}

/** Keeps what a source has just told in the place of what it told before. */
const learn = async (
  { db, keyring, clock }: Services,
  connection: Connection,
  { claims }: Outsider,
  find: () => Promise<contexts.Context | undefined>,
): Promise<contexts.Context | undefined> => {
  const learnt = learntFrom(connection, clock.now(), { claims })
  const context = learnt && (await find())
  return context && ((await contexts.replace(db, keyring, context, learnt)) ?? { ...context, learnt })
}

interface Found {
  user: User
  outsider?: Outsider
}

const fromSource = async (services: Services, user: User, pool: Pool): Promise<Found | undefined> => {
  const { source, settings } = pool
  if (source?.mode !== 'sync' || source.observe || source.paused || user.authority !== 'linked') return { user }
  const [known] = user.identifiers
  const identifier = known && readIdentifier(known.typed, [known.kind], settings.default_country)
  if (!identifier) return { user }
  const answer = await guardedSource(pool, services).find({ identifier })
  if (answer.is === 'not_found' || answer.is === 'blocked') return undefined
  if (answer.is !== 'ok') return { user }
  const { user: outsider } = answer
  // Somebody else has the address there now: it is not the person who is known here by it.
  if (outsider.externalId !== user.externalId) return undefined
  const coming = {
    outsider,
    source: source.type,
    mapping: source.mapping,
    authority: 'linked',
    always: true,
  } as const
  const adopted = await adopt(services, pool, coming)
  if (adopted.is === 'user') return { user: adopted.user, outsider }
  return adopted.why === 'script' ? { user } : undefined
}
