import { createHash, randomUUID } from 'node:crypto'
import { exportPKCS8, generateKeyPair } from 'jose'
import type { Fetch } from '../../platform/fetch.ts'
import { oidc } from './oidc.ts'
import { apple, facebook, github, google, microsoft } from './presets.ts'
import { json, openProvider, type Provider, toolsWith } from './provider-testing.ts'
import { saml } from './saml.ts'
import { openSamlIdp, samlTools } from './saml-testing.ts'
import type { OpenUpstream, Returned } from './upstream.ts'

type Who = 'ada' | 'grace'

/** An upstream with a double of the other side, at which people can sign in. */
export interface Double {
  upstream: OpenUpstream
  /** What the browser of somebody brings back who was sent there and signs in. */
  signIn(to: URL, who: Who): Promise<Returned>
  /** Takes the other side away, where anything is asked of it directly. */
  stop?(): void
}

const secret = { client_id: 'lido', client_secret: 'secret' }
const tid = '9188040d-6c67-4c5b-b112-36a304b66dad'

const ofProvider = (
  provider: Provider,
  upstream: OpenUpstream,
  claims: Record<string, unknown> = {},
  wrong: Record<string, unknown> = {},
): Double => ({
  upstream,
  signIn: (to, who) => provider.signIn(to, { sub: `${who}-1`, ...claims }, { claims: wrong }),
  stop: () => {
    provider.down = true
  },
})

/** A provider of OAuth 2.0 with an API: a code is good once, with the verifier of whom it was made for. */
const openOauth = (token: string, api: (who: Who) => Record<string, unknown>) => {
  const codes = new Map<string, { who: Who; to: URL }>()
  const tokens = new Map<string, Who>()
  const state = { down: false }
  const fetch: Fetch = async (url, { body = '', headers = {} } = {}) => {
    if (state.down) throw new Error('A request to another server failed')
    const place = new URL(url).origin + new URL(url).pathname
    if (place !== token) {
      const who = tokens.get(new Headers(headers).get('authorization')?.slice(7) ?? '')
      return who ? json(api(who)[place] ?? {}) : json({}, 401)
    }
    const form = new URLSearchParams(String(body))
    const kept = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (!kept || kept.to.searchParams.get('code_challenge') !== challenge)
      return json({ error: 'bad_verification_code' })
    const access_token = randomUUID()
    tokens.set(access_token, kept.who)
    return json({ access_token })
  }
  const signIn = async (to: URL, who: Who): Promise<Returned> => {
    const code = randomUUID()
    codes.set(code, { who, to })
    return { method: 'GET', fields: { code, state: to.searchParams.get('state') ?? '' } }
  }
  return { fetch, signIn, stop: () => Object.assign(state, { down: true }) }
}

const numbers = { ada: 1, grace: 2 }

/** How each upstream is opened with a double, by its name; one that has none is not done. */
export const doubles: Record<string, () => Promise<Double>> = {
  oidc: async () => {
    const provider = await openProvider()
    const given = oidc.settings.parse({ issuer: provider.issuer, ...secret })
    return ofProvider(provider, oidc.open(given, toolsWith(provider.fetch)))
  },
  google: async () => {
    const provider = await openProvider({ issuer: 'https://accounts.google.com' })
    return ofProvider(provider, google.open(google.settings.parse(secret), toolsWith(provider.fetch)))
  },
  microsoft: async () => {
    const named = 'https://login.microsoftonline.com/{tenantid}/v2.0'
    const provider = await openProvider({ issuer: 'https://login.microsoftonline.com/organizations/v2.0', named })
    const upstream = microsoft.open(microsoft.settings.parse(secret), toolsWith(provider.fetch))
    return ofProvider(provider, upstream, { tid }, { iss: named.replace('{tenantid}', tid) })
  },
  apple: async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const provider = await openProvider({ issuer: 'https://appleid.apple.com' })
    const own = { client_id: 'lido', team_id: 'ABCDE12345', key_id: 'KEY1234567' }
    const given = apple.settings.parse({ ...own, private_key: await exportPKCS8(privateKey) })
    return ofProvider(provider, apple.open(given, toolsWith(provider.fetch)))
  },
  github: async () => {
    const { fetch, signIn, stop } = openOauth('https://github.com/login/oauth/access_token', (who) => ({
      'https://api.github.com/user': { id: numbers[who], login: who },
      'https://api.github.com/user/emails': [],
    }))
    return { upstream: github.open(github.settings.parse(secret), toolsWith(fetch)), signIn, stop }
  },
  facebook: async () => {
    const { fetch, signIn, stop } = openOauth('https://graph.facebook.com/v23.0/oauth/access_token', (who) => ({
      'https://graph.facebook.com/v23.0/me': { id: String(numbers[who]), name: who },
    }))
    return { upstream: facebook.open(facebook.settings.parse(secret), toolsWith(fetch)), signIn, stop }
  },
  saml: async () => {
    const clock = { now: () => new Date() }
    const idp = openSamlIdp(clock.now, { place: 'https://idp.example.test/saml' })
    const upstream = saml.open(saml.settings.parse(idp.settings), samlTools(clock))
    return { upstream, signIn: async (to, who) => idp.answer(to, { nameId: who }) }
  },
}
