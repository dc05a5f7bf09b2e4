import { LRUCache } from 'lru-cache'
import { networkOf } from '../../platform/network.ts'
import { addressKey } from '../limits.ts'

/** After so many faults in a row nothing is asked for `restMs`; then one call at a time shows how it is. */
const bounds = { faults: 5, networks: 3, restMs: 10_000, known: 1_000 }

/** About whom a source is asked, and from where; no address where nobody in a browser asks. */
export interface Asker {
  who: string
  ip: string | undefined
}

/**
 * What keeps a source from being asked while it does not answer. Faults about one identifier let only that one rest, and
 * faults of one sender about many only that sender: whoever has found what a source cannot answer shuts nobody else out.
 * It rests for all once people from several networks met with faults and nobody with an answer.
 */
export interface Breaker {
  /** Whether it may be asked now. Whoever may has to tell what came of it. */
  enter(asker: Asker, now: number): boolean
  saw(asker: Asker, now: number, isFault: boolean): void
  /** Whether anybody is kept from asking. */
  isResting(now: number): boolean
  /** Faults since anybody was answered. */
  inARow(): number
}

/** Faults in a row of an identifier, a sender, or everybody. */
interface Row {
  marks: Set<string>
  networks: Set<string>
  restsUntil: number
  /** Whether it has rested and was not answered since; whether somebody is finding out; who did and may not again yet. */
  isAway: boolean
  isTrying: boolean
  barred: Map<string, number>
}

/** Where a fault counts: each mark once, and how many of them, from how many networks, let it rest. */
interface Scope {
  row(): Row | undefined
  made(): Row
  forget(): void
  mark: string
  network: string
  networks: number
}

/** Opens a breaker; it lives as long as the process. */
export const openBreaker = (): Breaker => {
  const rows = new LRUCache<string, Row>({ max: bounds.known })
  let all: Row | undefined
  let faults = 0
  let restsUntil = 0
  const scopesOf = ({ who, ip = '' }: Asker): Scope[] => {
    const network = networkOf(ip) ?? addressKey(ip)
    const scopeOf = (key: string, mark: string): Scope => ({
      row: () => rows.get(key),
      made: () => kept(rows, key),
      forget: () => rows.delete(key),
      ...{ mark, network, networks: 1 },
    })
    const everybody = {
      row: () => all,
      made: () => (all ??= newRow()),
      forget: () => {
        all = undefined
      },
      ...{ mark: who, network, networks: bounds.networks },
    }
    return [everybody, scopeOf(`from ${addressKey(ip)}`, who), scopeOf(`who ${who}`, '')]
  }
  return {
    enter(asker, now) {
      const scopes = scopesOf(asker)
      if (!scopes.every((scope) => mayPass(scope, now))) return false
      for (const row of scopes.flatMap((scope) => scope.row() ?? [])) row.isTrying = row.isAway
      return true
    },
    saw(asker, now, isFault) {
      faults = isFault ? faults + 1 : 0
      for (const scope of scopesOf(asker)) {
        if (!isFault) scope.forget()
        else if (count(scope, now)) restsUntil = now + bounds.restMs
      }
    },
    isResting: (now) => faults >= bounds.faults && now < restsUntil,
    inARow: () => faults,
  }
}

/** How many faults in a row mean that a source does not answer. */
export const faultsInARow = bounds.faults

const newRow = (): Row => ({
  ...{ marks: new Set<string>(), networks: new Set<string>(), barred: new Map<string, number>() },
  ...{ restsUntil: 0, isAway: false, isTrying: false },
})

const kept = (rows: LRUCache<string, Row>, key: string): Row => {
  const row = rows.get(key) ?? newRow()
  rows.set(key, row)
  return row
}

const mayPass = ({ row: rowOf, network }: Scope, now: number): boolean => {
  const row = rowOf()
  if (!row?.isAway) return true
  return now >= row.restsUntil && !row.isTrying && now >= (row.barred.get(network) ?? 0)
}

/** Counts a fault, and says whether it let anything rest. */
const count = (scope: Scope, now: number): boolean => {
  const row = scope.made()
  row.isTrying = false
  // A call that began before it rested tells nothing new.
  if (row.isAway && now < row.restsUntil) return false
  // No more than count, however long nobody is answered.
  if (row.marks.size < bounds.faults) row.marks.add(scope.mark || String(row.marks.size))
  if (row.networks.size < bounds.networks) row.networks.add(scope.network)
  const networks = row.isAway ? Math.min(2, scope.networks) : scope.networks
  const marks = row.isAway ? networks : bounds.faults
  if (row.marks.size < marks || row.networks.size < networks) {
    if (row.isAway) row.barred.set(scope.network, now + bounds.restMs)
    return false
  }
  row.marks.clear()
  row.networks.clear()
  row.barred.clear()
  row.isAway = true
  row.restsUntil = now + bounds.restMs
  return true
}
