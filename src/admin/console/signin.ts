import type { Context } from 'koa'
import type { Configuration } from 'openid-client'
import { z } from 'zod'
import type { Config } from '../../config.ts'
import { freshMs } from '../../directory/acr.ts'
import * as sessions from '../../directory/console-sessions.ts'
import * as operators from '../../directory/operators.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'

/** The console as a client of the admin workspace: sign-in, step-up and sign-out. */
export interface ConsoleSignIn {
  /** The visit that a browser presents, if it is one. */
  find(ctx: Context): Promise<sessions.ConsoleSession | undefined>
  /** Sends a browser to sign in, or to prove again who they are, and then back to a page of the console. */
  begin(ctx: Context, to: string, session?: sessions.ConsoleSession): Promise<void>
  /** Takes a browser back from there (RFC 6749 section 4.1.2). */
  complete(ctx: Context): Promise<void>
  /** Ends a visit here and at the provider (OpenID Connect RP-Initiated Logout section 2). */
  end(ctx: Context, session: sessions.ConsoleSession): Promise<void>
}

/** Sign-ins that a browser may have begun and not finished. */
const mostBegun = 10

const begun = z.object({
  verifier: z.string(),
  nonce: z.string(),
  to: z.string(),
  /** The visit that is proven again. */
  session: z.string().optional(),
})

export const openSignIn = (services: Services): ConsoleSignIn => {
  const { config, clock, db, keyring } = services
  const secure = config.publicUrl.startsWith('https:')
  const cookie = secure ? '__Host-lido_console' : 'lido_console'
  const kept = { httpOnly: true, sameSite: 'lax', secure, overwrite: true, signed: false, path: '/' } as const
  const provider = openProvider(config)
  const openId = () => import('openid-client')

  const begin: ConsoleSignIn['begin'] = async (ctx, to, session) => {
    const [oidc, issuer] = await Promise.all([openId(), provider()])
    const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()]
    const remembered = { verifier, nonce, to, ...(session ? { session: session.id } : {}) }
    const sealed = keyring.seal(JSON.stringify(remembered), `console:${state}`)
    forgetMany(ctx)
    ctx.cookies.set(`${cookie}_${state}`, sealed, { ...kept, maxAge: 3_600_000 })
    const url = oidc.buildAuthorizationUrl(issuer, {
      redirect_uri: `${config.publicUrl}/console/callback`,
      scope: 'openid email',
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      ...(session ? { prompt: 'login', max_age: String(freshMs / 1000) } : {}),
    })
    ctx.status = 303
    ctx.redirect(url.href)
  }

  // Every tab that a browser opens anew begins a sign-in; what is never finished must not fill its headers up.
  const forgetMany = (ctx: Context) => {
    const open = ctx.get('Cookie').match(new RegExp(`(?<=^|; )${cookie}_[\\w-]{20,}(?==)`, 'g')) ?? []
    if (open.length >= mostBegun) for (const name of open) ctx.cookies.set(name, null, kept)
  }

  const complete: ConsoleSignIn['complete'] = async (ctx) => {
    const state = String(ctx.query.state ?? '')
    const known = read(ctx, state)
    ctx.cookies.set(`${cookie}_${state}`, null, kept)
    const { userId, era, provedAt, idToken } = await exchange(ctx, state, known)
    const operator = await operators.find(db, userId)
    if (!operator) throw new Problem('forbidden', { detail: 'This account is not an operator.' })
    const idTokenSealed = keyring.seal(idToken, 'console:id_token')
    const token = known.session
      ? await sessions.renew(db, known.session, { userId, provedAt })
      : await sessions.begin(db, clock.now(), { poolId: operator.poolId, userId, era, provedAt, idTokenSealed })
    if (!token) throw new Problem('forbidden', { detail: 'Somebody else is signed in to the console in this browser.' })
    ctx.cookies.set(cookie, token, kept)
    ctx.status = 303
    ctx.redirect(known.to)
  }

  const read = (ctx: Context, state: string) => {
    try {
      const sealed = ctx.cookies.get(`${cookie}_${state}`, { signed: false }) ?? ''
      return begun.parse(JSON.parse(keyring.open(sealed, `console:${state}`)))
    } catch (cause) {
      throw new Problem('expired', { cause })
    }
  }

  const exchange = async (ctx: Context, state: string, { verifier, nonce, session }: z.infer<typeof begun>) => {
    const [oidc, issuer] = await Promise.all([openId(), provider()])
    const here = new URL(ctx.originalUrl, config.publicUrl)
    const tokens = await oidc
      .authorizationCodeGrant(issuer, here, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
        ...(session ? { maxAge: freshMs / 1000 } : {}),
      })
      .catch((cause: unknown) => {
        throw new Problem('forbidden', { detail: 'The sign-in did not come to an end. Try again.', cause })
      })
    const claims = tokens.claims()
    const userId = claims?.sub ?? ''
    // Read before the token is looked at: were everything of the user ended in between, the token would be refused.
    const era = await sessions.findEra(db, userId)
    await oidc.fetchUserInfo(issuer, tokens.access_token, userId)
    if (era === undefined) throw new Problem('forbidden')
    const provedAt = new Date((claims?.auth_time ?? claims?.iat ?? 0) * 1000)
    return { userId, era, provedAt, idToken: tokens.id_token ?? '' }
  }

  return {
    begin,
    complete,
    find: async (ctx) => {
      const token = ctx.cookies.get(cookie, { signed: false })
      return token ? sessions.find(db, clock.now(), token) : undefined
    },
    end: async (ctx, session) => {
      await sessions.end(db, session.id)
      ctx.cookies.set(cookie, null, kept)
      const oidc = await openId()
      const hint = session.idTokenSealed ? keyring.open(session.idTokenSealed, 'console:id_token') : undefined
      const back = { post_logout_redirect_uri: `${config.publicUrl}/console` }
      const url = oidc.buildEndSessionUrl(await provider(), { ...back, ...(hint ? { id_token_hint: hint } : {}) })
      ctx.status = 303
      ctx.redirect(url.href)
    },
  }
}

/** Discovers the admin workspace once it is first needed, and again where that failed. */
const openProvider = (config: Config): (() => Promise<Configuration>) => {
  let discovered: Promise<Configuration> | undefined
  return () => {
    discovered ??= discover(config).catch((error) => {
      discovered = undefined
      throw error
    })
    return discovered
  }
}

const discover = async (config: Config): Promise<Configuration> => {
  const { allowInsecureRequests, customFetch, discovery, None } = await import('openid-client')
  return discovery(new URL(`${config.publicUrl}/w/admin`), 'console', undefined, None(), {
    [customFetch]: atHome(config),
    execute: config.publicUrl.startsWith('http:') ? [allowInsecureRequests] : [],
  })
}

// The provider is this very program: asked where it listens, it needs no way round by its public name.
const atHome = ({ publicUrl, host, port }: Config) => {
  const name = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  const home = `http://${name}:${port || new URL(publicUrl).port}`
  return (url: string, init: object): Promise<Response> =>
    fetch(url.startsWith(`${publicUrl}/`) ? home + url.slice(publicUrl.length) : url, init)
}
