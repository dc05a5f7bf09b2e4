import { z } from 'zod'
import type { Workspace } from '../directory/workspaces.ts'
import { isStorable } from '../platform/storable.ts'
import { claimsOfScopes, mappedNames } from './claims.ts'
import { errors, interactionPolicy, type KoaContextWithOIDC } from './engine.ts'
import { pairwise } from './pairwise.ts'

/** The most characters of the `claims` parameter, and the most claims that one of its two parts names. */
const most = { characters: 8192, claims: 100 }

// Codes and tokens are stored with what was asked for.
const scalar = z.union([z.string().max(1000).refine(isStorable), z.number(), z.boolean()])

/** How one claim is asked for (OpenID Connect Core 1.0 section 5.5.1); what else is said there is ignored. */
const wish = z
  .object({
    essential: z.boolean().optional(),
    value: scalar.optional(),
    values: z.array(scalar).max(50).optional(),
  })
  .nullable()
type Wish = z.infer<typeof wish>

const texts = z.object({ value: z.string().optional(), values: z.array(z.string()).optional() }).nullish()

/** Claims whose value decides who signs in, and how: they are compared as texts. */
const decisive = ['acr', 'sub']

/** Told of every sign-in, or looked at in one: nobody is asked for these. */
const ofSignIn: ReadonlySet<string> = new Set(['acr', 'amr', 'auth_time', 'sid', 'sub'])

const parts = ['id_token', 'userinfo'] as const

type Asked = Partial<Record<(typeof parts)[number], Record<string, Wish>>>

/** What scopes tell of a person in a workspace; what every sign-in tells is not in it. */
export const claimsCarried = (workspace: Workspace, scopes: Iterable<string>): ReadonlySet<string> =>
  new Set(
    [...scopes].flatMap((scope) => {
      if (scope === 'openid' || !Object.hasOwn(claimsOfScopes, scope)) return []
      return [...(claimsOfScopes[scope] ?? []), ...(scope === 'profile' ? mappedNames(workspace.connections) : [])]
    }),
  )

/** The scopes that a client may ask for; one that says nothing may ask for all. */
const scopesOpenTo = (client: object): string[] => {
  const { scope } = client as { scope?: string }
  return scope === undefined ? Object.keys(claimsOfScopes) : scope.split(' ')
}

/**
 * Leaves of the `claims` parameter (OpenID Connect Core 1.0 section 5.5) what its client may be told: claims that a scope
 * carries which it may ask for; what is left is ignored, as the section wants it. Throws `invalid_request` on what is no
 * such parameter.
 */
export const limitClaims =
  (workspace: Workspace) =>
  ({ oidc }: KoaContextWithOIDC, asked: object, client: object): void => {
    const { params } = oidc
    if (!params) return
    if (String(params.claims).length > most.characters) refuse(`claims is longer than ${most.characters} characters`)
    const open = claimsCarried(workspace, scopesOpenTo(client))
    const kept = parts.flatMap((part) => {
      const wishes = (asked as Record<string, unknown>)[part]
      return wishes === undefined ? [] : [[part, wishesIn(part, wishes as object, open)]]
    })
    params.claims = JSON.stringify(Object.fromEntries(kept))
  }

const wishesIn = (part: string, said: object, open: ReadonlySet<string>): Record<string, Wish> => {
  const all = Object.entries(said)
  if (all.length > most.claims) refuse(`claims.${part} names more than ${most.claims} claims`)
  return Object.fromEntries(
    all.flatMap(([name, value]) => {
      if (misleading.has(name)) refuse(`claims.${part} names what cannot be a claim`)
      if (!open.has(name) && !ofSignIn.has(name)) return []
      const { data, success } = wish.safeParse(value)
      const fits = success && (!decisive.includes(name) || texts.safeParse(data).success)
      if (!fits) refuse(`claims.${part}.${name} has the wrong shape`)
      return [[name, data ?? null]]
    }),
  )
}

/** Names that mean something to programs whatever they are looked up in. */
const misleading: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

const refuse = (why: string): never => {
  throw new errors.InvalidRequest(why)
}

/** What is asked for in a request that was looked at before. */
const askedIn = (params: Record<string, unknown> | undefined): Asked =>
  typeof params?.claims === 'string' ? (JSON.parse(params.claims) as Asked) : {}

/** The claims of a person that a request asks for one by one, wherever they are to be told. */
export const claimsRequested = (params: Record<string, unknown> | undefined): string[] => {
  const asked = askedIn(params)
  const names = parts.flatMap((part) => Object.keys(asked[part] ?? {}))
  return [...new Set(names)].filter((name) => !ofSignIn.has(name))
}

/** Of those, what none of these scopes carries anyway: what a person has to be asked for by itself. */
export const claimsBeside = (
  workspace: Workspace,
  params: Record<string, unknown> | undefined,
  scopes: Iterable<string>,
): string[] => {
  const carried = claimsCarried(workspace, scopes)
  return claimsRequested(params).filter((name) => !carried.has(name))
}

/** How claims are asked for, as the engine hands it on. */
export type Wishes = Readonly<
  Record<string, { readonly value?: unknown; readonly values?: readonly unknown[] | undefined } | null | undefined>
>

/** Leaves out what was asked for with a value that it does not have (OpenID Connect Core 1.0 section 5.5.1). */
export const withValues = (told: Record<string, unknown>, asked: Wishes): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(told).filter(([name, value]) => {
      const wanted = ofSignIn.has(name) || !Object.hasOwn(asked, name) ? undefined : asked[name]
      const values = wanted?.values ?? (wanted?.value === undefined ? undefined : [wanted.value])
      return values?.includes(value) ?? true
    }),
  )

/** Whom a request is for, by `sub`; undefined where anybody may come. */
const subsWanted = (params: Record<string, unknown> | undefined): unknown[] | undefined => {
  const asked = askedIn(params)
  const wanted = parts.flatMap((part) => {
    const { value, values } = asked[part]?.sub ?? {}
    return values !== undefined || value !== undefined
      ? [new Set([...(values ?? []), ...(value === undefined ? [] : [value])])]
      : []
  })
  const [first, ...others] = wanted
  return first && [...first].filter((sub) => others.every((other) => other.has(sub)))
}

/**
 * Lets in nobody but whom a request names by `sub`: whoever else is signed in is asked to sign in, and whoever else does
 * sign in is refused with `login_required` (OpenID Connect Core 1.0 section 3.1.2.2).
 */
export const subCheck = (workspace: Workspace) =>
  new interactionPolicy.Check('claims_sub', 'the person asked for is not signed in', 'login_required', (ctx) => {
    const { client, params, result, session } = (ctx as KoaContextWithOIDC).oidc
    const wanted = subsWanted(params)
    if (!wanted || !client || !session?.accountId) return false
    const isPairwise = client.subjectType === 'pairwise'
    const sub = isPairwise ? pairwise(workspace, client, session.accountId) : session.accountId
    if (wanted.includes(sub)) return false
    if (result?.login) throw new errors.LoginRequired('somebody else signed in than the request asks for')
    return true
  })
