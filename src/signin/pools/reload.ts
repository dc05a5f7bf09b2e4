import { readIdentifier } from '../../directory/identifiers.ts'
import type { Pool } from '../../directory/pools.ts'
import type { User } from '../../directory/users.ts'
import type { Services } from '../../services.ts'
import { guardedSource } from '../sources/guarded.ts'
import { adopt } from './adopt.ts'

/**
 * Brings a user up to date whose pool is kept in step with a source. Undefined where the source does not know them any
 * more or has closed them; where it does not answer, they stay as they are known here.
 */
export const reload =
  (services: Services) =>
  async (user: User, pool: Pool): Promise<User | undefined> => {
    const { source, settings } = pool
    if (source?.mode !== 'sync' || source.observe || source.paused || user.authority !== 'linked') return user
    const [known] = user.identifiers
    const identifier = known && readIdentifier(known.typed, [known.kind], settings.default_country)
    if (!identifier) return user
    const answer = await guardedSource(pool, services).find({ identifier })
    if (answer.is === 'not_found' || answer.is === 'blocked') return undefined
    if (answer.is !== 'ok') return user
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
    if (adopted.is === 'user') return adopted.user
    return adopted.why === 'script' ? user : undefined
  }
