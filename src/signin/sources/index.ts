import { auth0 } from './auth0.ts'
import { cognito } from './cognito.ts'
import { custom } from './custom.ts'
import { httpSource } from './http.ts'
import type { Source } from './source.ts'

/** The places that a pool's people may still live in; one line each. */
export const sources: readonly Source[] = [auth0, cognito, custom, httpSource]

export const getSource = (name: string): Source | undefined => sources.find((source) => source.name === name)
