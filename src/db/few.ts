import { openBucket } from '../platform/bucket.ts'
import { uuidv7 } from '../platform/secrets.ts'
import type { EventRow } from './work.ts'

/** What events have in common that are counted together; nothing in it is of a sender's choice. */
export interface Kind {
  type: string
  workspaceId: string | undefined
  data: Record<string, string>
  /** How many a second are written on this node, and how many at once after a pause. */
  pace: { rate: number; burst: number }
}

export interface Few {
  add(kind: Kind, row: EventRow): void
  leaveOut(kind: Kind, at: Date): void
  /** Writes an event for each kind of which some were left out since the last one. */
  tellAll(): void
}

interface Counted {
  kind: Kind
  mayAdd(at: Date): boolean
  leftOut: number
  last: Date
}

/** All kinds together: as many as that are written on this node. */
const node = { rate: 2, burst: 120 }

/** How many kinds are told apart, and after how many milliseconds of silence one is forgotten. */
const mostKinds = 500
const silence = 600_000

/**
 * Lets few of many through, so that a flood costs neither the database nor memory, and counts the others: nothing is
 * left out that no event tells of.
 */
export const openFew = ({ add, now }: { add(row: EventRow): void; now(): Date }): Few => {
  const kinds = new Map<string, Counted>()
  const mayAddAny = openBucket(node)

  const countedOf = (kind: Kind, at: Date): Counted => {
    const key = JSON.stringify([kind.type, kind.workspaceId, kind.data])
    const known = kinds.get(key)
    if (known) return known
    if (kinds.size >= mostKinds) return overflowOf(kind, at)
    return keep(key, kind, at)
  }

  const keep = (key: string, kind: Kind, at: Date): Counted => {
    const made = { kind, mayAdd: openBucket(kind.pace), leftOut: 0, last: at }
    kinds.set(key, made)
    return made
  }

  // One more for each type, whatever comes: these are of no workspace.
  const overflowOf = ({ type, pace }: Kind, at: Date): Counted =>
    kinds.get(type) ?? keep(type, { type, workspaceId: undefined, data: {}, pace }, at)

  return {
    leaveOut(kind, at) {
      const counted = countedOf(kind, at)
      counted.last = at
      counted.leftOut += 1
    },
    add(kind, row) {
      const counted = countedOf(kind, row.at)
      counted.last = row.at
      if (!counted.mayAdd(row.at) || !mayAddAny(row.at)) counted.leftOut += 1
      else {
        add(counted.leftOut === 0 ? row : { ...row, data: { ...row.data, left_out: counted.leftOut } })
        counted.leftOut = 0
      }
    },
    tellAll() {
      const at = now()
      for (const [key, counted] of kinds) {
        const { kind, leftOut, last } = counted
        if (leftOut > 0) {
          const { type, workspaceId, data } = kind
          add({ id: uuidv7(at), type, workspaceId, data: { ...data, left_out: leftOut }, at })
          counted.leftOut = 0
        } else if (at.getTime() - last.getTime() > silence) kinds.delete(key)
      }
    },
  }
}
