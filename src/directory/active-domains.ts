import type { Changes } from '../db/changes.ts'
import type { Db } from '../db/connect.ts'
import { type Active, listActive } from './domains.ts'

/** The domains that workspaces answer at now, kept in memory while changes are heard. */
export interface ActiveDomains {
  /** The domain that a `Host` header (RFC 9110 section 7.2) names, if it is one: what is answered is ours, never the header. */
  at(host: string): Promise<Active | undefined>
  /** The origins of a workspace's own. */
  of(workspaceId: string): Promise<string[]>
}

interface Known {
  byHost: ReadonlyMap<string, Active>
  byWorkspace: ReadonlyMap<string, Active[]>
}

/** Reads them when they are asked for, and again after a change of any. Rejects where they cannot be read. */
export const openActiveDomains = (db: Db, changes: Pick<Changes, 'listening' | 'subscribe'>): ActiveDomains => {
  let kept: Promise<Known> | undefined
  let workspaces: Known['byWorkspace'] = new Map()
  changes.subscribe((changed) => {
    const named = changed.startsWith('workspace:') && workspaces.has(changed.slice('workspace:'.length))
    if (changed === 'domains' || changed === 'everything' || named) kept = undefined
  })
  const read = async (): Promise<Known> => {
    const known = indexed(await listActive(db))
    workspaces = known.byWorkspace
    return known
  }
  const get = (): Promise<Known> => {
    if (!changes.listening()) return read()
    if (!kept) {
      const reading = read().catch((error) => {
        if (kept === reading) kept = undefined
        throw error
      })
      kept = reading
    }
    return kept
  }
  return {
    at: async (host) => (await get()).byHost.get(host),
    of: async (workspaceId) => (await get()).byWorkspace.get(workspaceId)?.map(({ origin }) => origin) ?? [],
  }
}

const indexed = (active: Active[]): Known => ({
  byHost: new Map(active.map((one) => [new URL(one.origin).host, one])),
  byWorkspace: Map.groupBy(active, ({ workspaceId }) => workspaceId),
})
