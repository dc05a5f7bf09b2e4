import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import type { Keyring } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import * as audit from './audit.ts'
import { activate, type Domain } from './domains.ts'

/** Where whoever owns a host says in DNS which workspace it is for, as ACME does (RFC 8555 section 8.4). */
export const challengeNameOf = ({ host }: Pick<Domain, 'host'>): string => `_lido-challenge.${host}`

/** What the DNS says of a domain: our challenge, something else, nothing, or no answer came. */
export type Owned = 'proven' | 'different' | 'missing' | 'unreachable'

/** Asks the DNS of a domain for the challenge of its workspace. */
export const askOwner = async ({ dns, log }: Services, domain: Domain): Promise<Owned> => {
  try {
    const texts = await dns.texts(challengeNameOf(domain))
    if (texts.some((text) => text.trim() === domain.challenge)) return 'proven'
    return texts.length === 0 ? 'missing' : 'different'
  } catch (error) {
    log.info({ err: error, host: domain.host }, 'the DNS of a domain did not answer')
    return 'unreachable'
  }
}

/**
 * Lets a workspace answer at a domain whose DNS names it. Throws `conflict` where it does not, and where another
 * workspace answers there, whatever the DNS says by now; both are events.
 */
export const verify = async (services: Services, at: Date, domain: Domain, by: audit.By): Promise<Domain> => {
  const { db } = services
  const refuse = (why: Exclude<Owned, 'proven'> | 'taken') =>
    audit.record(
      db,
      at,
      { workspaceId: domain.workspaceId },
      { type: 'domain.refused', data: { by, name: domain.host, why } },
    )
  const owned = await askOwner(services, domain)
  if (owned !== 'proven') {
    await refuse(owned)
    throw new Problem('conflict', { detail: `${challengeNameOf(domain)} ${findings[owned]}` })
  }
  try {
    return await db.transaction().execute((trx) => activate(trx, at, domain, 'dns', by))
  } catch (error) {
    if (error instanceof Problem && error.code === 'conflict') await refuse('taken')
    throw error
  }
}

const findings: Record<Exclude<Owned, 'proven'>, string> = {
  different: 'has a TXT record, but not the value of this domain.',
  missing: 'has no TXT record yet; where it was just made, it may take some minutes to be seen.',
  unreachable: 'could not be looked up: its name servers did not answer.',
}

/** Where this program says that it is reached at a host. */
export const proofPath = '/.well-known/lido-domain'

/** What it says there of each workspace that has named the host; nothing where none has. */
export const proofsAt = async (db: Db, keyring: Keyring, host: string): Promise<string[]> => {
  const rows = await db.selectFrom('domains').select(['workspaceId', 'host']).where('host', '=', host).execute()
  return rows.map(({ workspaceId }) => keyring.hmac('domain', `${workspaceId}:${host}`))
}

/** Asks a host for what only this program can say: whether people who go there come here. */
export const leadsHere = async ({ fetch, keyring, log }: Services, domain: Domain): Promise<boolean> => {
  const answer = await fetch(`${domain.origin}${proofPath}`).catch((error: unknown) => {
    log.info({ err: error, host: domain.host }, 'a domain did not answer')
    return undefined
  })
  const said = answer?.status === 200 ? answer.text().split('\n') : []
  const known = keyring.hmacs('domain', `${domain.workspaceId}:${domain.host}`)
  return said.some((line) => known.includes(line))
}
