import { z } from 'zod'
import type { Keyring } from '../platform/secrets.ts'

/** A secret setting as it is stored; only the installation's secrets open it, and only for its pool and field. */
const sealed = z.strictObject({ sealed: z.string() })

/** Which pool a setting is of, and under which field of it: `source` or `upstream`. */
export interface Place {
  pool: string
  field: 'source' | 'upstream'
}

type Settings = Record<string, unknown>

/** Settings as they are stored: each secret among them is sealed. */
export const sealSettings = (
  keyring: Keyring,
  place: Place,
  settings: Settings,
  secrets: readonly string[],
): Settings =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) =>
      secrets.includes(name) && value !== undefined && value !== null
        ? [name, { sealed: keyring.seal(JSON.stringify(value), contextOf(place, name)) }]
        : [name, value],
    ),
  )

/** Settings as they were before they were sealed. Throws where no secret of the installation opens one. */
export const openSettings = (keyring: Keyring, place: Place, settings: Settings): Settings =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      const read = sealed.safeParse(value)
      return [name, read.success ? JSON.parse(keyring.open(read.data.sealed, contextOf(place, name))) : value]
    }),
  )

/** Settings as anybody may see them, and the names of those that are kept secret and are set. */
export const shownSettings = (settings: Settings): { settings: Settings; secrets: string[] } => {
  const isSecret = ([, value]: [string, unknown]) => sealed.safeParse(value).success
  const all = Object.entries(settings)
  return {
    settings: Object.fromEntries(all.filter((one) => !isSecret(one))),
    secrets: all.filter(isSecret).map(([name]) => name),
  }
}

const contextOf = ({ pool, field }: Place, name: string): string => `pool ${pool} ${field} ${name}`
