import { describedIn, type Resource } from '../directory/resources.ts'
import { claimsOfScopes } from '../oidc/claims.ts'
import type { Words } from '../platform/words.ts'

const known = new Set(['openid', 'profile', 'email', 'phone', 'address', 'offline_access', 'groups', 'roles', 'tenant'])

/** What a scope is called: in our words, in those of the resource that it is of, or else by its own name. */
export const scopeLabel = (words: Words, scope: string, resources: readonly Resource[] = []): string =>
  known.has(scope) ? words.t(`scope.${scope}.label`) : (declared(words, scope, resources) ?? scope)

/** What a scope lets an application know or do; the name of one that its resource describes. */
export const scopeDetail = (words: Words, scope: string, resources: readonly Resource[] = []): string => {
  if (known.has(scope)) return words.t(`scope.${scope}.detail`)
  return declared(words, scope, resources) === undefined ? '' : scope
}

/** What somebody is asked for, or agreed to, in a line. */
export const thingsIn = (words: Words, { scopes, claims }: { scopes: string[]; claims: string[] }): string =>
  [...scopes.map((scope) => scopeLabel(words, scope)), ...claims.map((name) => claimLabel(words, name))].join(', ')

const claims: ReadonlySet<string> = new Set(Object.values(claimsOfScopes).flat())

/** What a claim is called that is asked for by itself; one that a workspace adds by its own name. */
export const claimLabel = (words: Words, name: string): string => (claims.has(name) ? words.t(`claim.${name}`) : name)

const declared = ({ lang }: Words, wanted: string, resources: readonly Resource[]): string | undefined => {
  for (const { scopes } of resources)
    for (const { name, description } of scopes) {
      const said = name === wanted ? describedIn(description, lang) : undefined
      if (said !== undefined) return said
    }
  return undefined
}
