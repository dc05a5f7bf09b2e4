import { z } from 'zod'
import { openSettings, shownSettings } from '../../directory/pool-secrets.ts'
import type { Pool } from '../../directory/pools.ts'
import type { Fault, Remarks, Scene } from './kind.ts'

/** The secrets of a pool's source or upstream as a file has them: each names a variable of the environment. */
export const secretsInFile = z
  .record(
    z.string(),
    z.strictObject({ env: z.string().regex(/^[A-Z][A-Z0-9_]{0,199}$/, 'A variable is named in capitals') }),
  )
  .default({})
export type InFile = z.output<typeof secretsInFile>

/** Both fields of a file that name secrets. */
interface Named {
  slug: string
  source_secrets: InFile
  upstream_secrets: InFile
}

const fields = ['source', 'upstream'] as const
type Field = (typeof fields)[number]

/** What the variables hold that are set; a secret whose variable is not stays as it is. */
export const valuesOf = (scene: Scene, named: InFile): Record<string, string> =>
  Object.fromEntries(
    Object.entries(named).flatMap(([name, { env }]) => {
      const { value } = lookUp(scene, env)
      return value ? [[name, value]] : []
    }),
  )

/** What a file's secrets would change, and which of them are missing. */
export const secretRemarks = (scene: Scene, pool: Pool | undefined, wished: Named): Remarks => {
  const all = fields.flatMap((field) =>
    Object.entries(wished[`${field}_secrets`]).map(([name, { env }]) => told(scene, pool, field, name, env)),
  )
  return {
    faults: all.flatMap(({ fault }) => fault ?? []),
    notes: all.flatMap(({ note }) => note ?? []),
    changes: all.flatMap(({ change }) => change ?? []),
  }
}

const told = (
  scene: Scene,
  pool: Pool | undefined,
  field: Field,
  name: string,
  env: string,
): { fault?: Fault; note?: string; change?: string } => {
  const isSet = shownSettings(pool?.[field]?.settings ?? {}).secrets.includes(name)
  const { value, detail } = lookUp(scene, env)
  const pointer = `/${field}_secrets/${name}`
  if (detail) return { fault: { pointer, detail } }
  if (value && isSet && pool && isHeld(scene, pool, field, name, value)) return {}
  if (value) return { change: `${field}.${name}: that of ${env}` }
  if (isSet) return { note: `${field}.${name}: stays as it is, for ${env} is not set` }
  return { fault: { pointer, detail: `It is not set yet, and neither is the variable ${env}` } }
}

const isHeld = ({ keyring }: Scene, pool: Pool, field: Field, name: string, value: string): boolean =>
  openSettings(keyring, { pool: pool.id, field }, pool[field]?.settings ?? {})[name] === value

const lookUp = ({ variable }: Scene, env: string): { value?: string | undefined; detail?: string } => {
  try {
    return { value: variable(env) }
  } catch (error) {
    return { detail: error instanceof Error ? error.message : `${env} cannot be read` }
  }
}

/** The variables that an export names for the secrets that a pool has. */
export const namedFor = (pool: Pool): Pick<Named, 'source_secrets' | 'upstream_secrets'> => {
  const of = (field: Field): InFile =>
    Object.fromEntries(
      shownSettings(pool[field]?.settings ?? {}).secrets.map((name) => [name, { env: variableOf(pool, field, name) }]),
    )
  return { source_secrets: of('source'), upstream_secrets: of('upstream') }
}

const variableOf = ({ slug }: Pool, field: Field, name: string): string =>
  `LIDO_SECRET_POOL_${slug}_${field}_${name}`.toUpperCase().replace(/[^A-Z0-9]/g, '_')
