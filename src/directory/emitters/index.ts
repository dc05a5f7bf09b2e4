import { auth0 } from './auth0.ts'
import { cognito } from './cognito.ts'
import { csv } from './csv.ts'
import type { Emitter } from './emitter.ts'
import { keycloak } from './keycloak.ts'
import { ndjson } from './ndjson.ts'

/** Every way in which users are written down, by its name. */
export const emitters = { csv, ndjson, auth0, keycloak, cognito } as const satisfies {
  [Name in Emitter['name']]: Emitter
}

export const emitterNames = [
  'ndjson',
  'csv',
  'auth0',
  'keycloak',
  'cognito',
] as const satisfies readonly Emitter['name'][]
