import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { openBrowser } from '../browser-testing.ts'
import * as registrationTokens from '../directory/registration-tokens.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import { proofKey, proofOf } from './dpop-testing.ts'
import {
  accessOf,
  api,
  canary,
  cibaGrant,
  comeFromEverywhere,
  deviceGrant,
  endToken,
  exchangeGrant,
  hurry,
  makeTown,
  mike,
  type Town,
  verifier,
  wanted,
} from './event-table-testing.ts'
import {
  type Answer,
  ask,
  callback,
  eventually,
  password,
  redeem,
  refresh,
  signIn,
  tokensFrom,
  tokensOf,
} from './fixtures-testing.ts'
import { makeSigner } from './signer-testing.ts'

let town: Town
let putBack: () => void
before(async () => {
  putBack = comeFromEverywhere()
  town = await makeTown()
})
after(async () => {
  putBack()
  await town.stop()
})

/** What makes each line of the table happen. */
const doings: Record<string, Record<string, () => Promise<unknown>>> = {
  '/authorize': {
    'a client that there is none': () => town.authorize({ client_id: canary }),
    "a `redirect_uri` that is not the client's": () =>
      town.authorize({ redirect_uri: `https://evil.example/${canary}` }),
    'no PKCE challenge': () => town.authorize({ code_challenge: '', code_challenge_method: '', state: canary }),
    'a `response_type` that the client may not ask for': () =>
      town.authorize({ response_type: 'id_token', nonce: canary }),
    'a request object that somebody else signed': async () =>
      town.authorize({ client_id: 'asking', request: await requestBy(await makeSigner()) }),
    'a `request_uri` that is over': () =>
      town.authorize({ request_uri: `urn:ietf:params:oauth:request_uri:${canary}` }),
    "a resource that is not the client's": () => town.authorize({ resource: `https://${canary}.example` }),
    '`prompt=none`, and nobody is signed in': () => town.authorize({ prompt: 'none', state: canary }),
    'a person signs in': () => signIn(town.lido, town.workspace, mike),
    'a wrong password on the page': async () => {
      const { browser } = await signIn(town.lido, town.workspace, '')
      await browser.submit({ identifier: 'otto@example.org' })
      await browser.submit({ password: canary })
    },
    'the person agrees': async () => (await consentOf('anna@example.org')).submit({ decision: 'allow' }),
    'the person does not agree': async () => (await consentOf('otto@example.org')).submit({ decision: 'deny' }),
    'an ID token without a code': async () => {
      const asked = { client_id: 'hybrid', response_type: 'id_token', nonce: canary }
      const { at } = await signIn(town.lido, town.workspace, mike, asked)
      assert.ok(new URLSearchParams(at.hash.slice(1)).get('id_token'), at.href)
    },
    'a sign-in of another browser': () => ask(`${town.workspace.issuer}/authorize/${canary}`),
  },
  '/par': {
    "the client's secret is wrong": () => town.send('/par', wanted, town.asIfIt('gate')),
    "a `redirect_uri` that is not the client's": () =>
      town.send('/par', { ...wanted, client_id: 'spa', redirect_uri: `https://evil.example/${canary}` }),
    'no PKCE challenge': () =>
      town.send('/par', { response_type: 'code', client_id: 'spa', redirect_uri: callback, state: canary }),
    'too many of one sender': () => tooOften('/par', { ...wanted, client_id: 'spa', redirect_uri: callback }),
  },
  '/device_authorization': {
    'too many of one sender': () => tooOften('/device_authorization', { client_id: 'tv', scope: 'openid' }),
    'a client that there is none': () => town.send('/device_authorization', { client_id: canary }),
    'a client that is not open to it': () => town.send('/device_authorization', { client_id: 'spa' }),
  },
  '/device': {
    'a code that no device shows': async () => (await typed('BBB-BBB-BBB')).page,
    'a form of another browser': () => town.send('/device', { xsrf: canary, user_code: canary }),
    'the person lets the device in': () => letIn('allow'),
    'the person sends the device away': () => letIn('deny'),
  },
  '/backchannel': {
    "the client's secret is wrong": () => town.send('/backchannel', { login_hint: mike }, town.asIfIt('shop')),
    'nobody is named': () => town.send('/backchannel', { scope: 'openid' }, town.as('shop')),
    'the person says yes': () => answered('allow'),
    'the person says no': () => answered('deny'),
  },
  '/token': {
    'a client that there is none': () => town.token({ grant_type: 'client_credentials' }, town.asIfIt(canary)),
    "the client's secret is wrong": () => town.token({ grant_type: 'client_credentials' }, town.asIfIt('machine')),
    'an assertion that was used before': async () => {
      const assertion = await town.signer.assertion(town.workspace.issuer, 'signing')
      const get = () => town.token({ grant_type: 'client_credentials', ...assertion })
      assert.deepEqual([(await get()).status, (await get()).status], [200, 401])
    },
    'a DPoP proof that was used before': async () => {
      const DPoP = await proofOf(town.key, ['POST', `${town.workspace.issuer}/token`])
      const get = () => town.token({ grant_type: 'client_credentials' }, { ...town.as('machine'), DPoP })
      assert.deepEqual([(await get()).status, (await get()).status], [200, 400])
    },
    'a grant that is closed to the client': () =>
      town.token({ grant_type: 'password', username: mike, password }, town.as('machine')),
    'a grant that there is none': () => town.token({ grant_type: canary }, town.as('machine')),
    'a machine gets a token': () => town.token(machine, town.as('machine')),
    'a machine asks for a resource that is not its own': () =>
      town.token({ ...machine, resource: `https://${canary}.example` }, town.as('machine')),
    'a code is redeemed': async () => redeem(town.workspace.issuer, await code()),
    'a code that was never given': () => redeem(town.workspace.issuer, { code: canary, verifier }),
    'a code with the wrong verifier': async () =>
      redeem(town.workspace.issuer, { ...(await code()), verifier: canary.padEnd(50, '-') }),
    'a code of another client': async () => redeem(town.workspace.issuer, await code(), { client_id: 'other' }),
    'a code comes a second time': async () => {
      const given = await code()
      await redeem(town.workspace.issuer, given)
      assert.equal((await redeem(town.workspace.issuer, given)).status, 400)
    },
    'a refresh': async () => refresh(town.workspace.issuer, (await tokensOf(town.lido, town.workspace, mike)).refresh),
    'a refresh token that was never given': () => refresh(town.workspace.issuer, canary),
    'a refresh token comes again after its successor was used': async () => {
      const first = await tokensOf(town.lido, town.workspace, mike)
      const second = tokensFrom(await refresh(town.workspace.issuer, first.refresh))
      await refresh(town.workspace.issuer, second.refresh)
      assert.equal((await refresh(town.workspace.issuer, first.refresh)).status, 400)
    },
    'a password': () => withPassword(mike, password),
    'a wrong password': () => withPassword('otto@example.org', canary),
    'a password where a second factor is asked for': () => withPassword('vera@example.org', password),
    'a device that was let in': async () => assert.equal((await poll(await letIn('allow'))).status, 200),
    'a device that was sent away': async () => poll(await letIn('deny')),
    'a device whose time is over': async () => {
      const { device_code } = await device()
      await endToken(town)
      await poll(device_code)
    },
    'a device code that was never given': () => poll(canary),
    'a request that a person said yes to': async () =>
      assert.equal((await pollAnswer(await answered('allow'))).status, 200),
    'a request that a person said no to': async () => pollAnswer(await answered('deny')),
    'a request that was never made': () => pollAnswer(canary),
    'a token for another': async () => assert.equal((await exchange(await accessOf(town))).status, 200),
    'a token for another, of nobody': () => exchange(canary),
    'a token for another, for a resource that is not in the policy': async () =>
      exchange(await accessOf(town), { resource: `https://${canary}.example` }),
  },
  '/introspect': {
    "the client's secret is wrong": () => town.send('/introspect', { token: canary }, town.asIfIt('machine')),
    'no token': () => town.send('/introspect', {}, town.as('machine')),
  },
  '/revoke': {
    "the client's secret is wrong": () => town.send('/revoke', { token: canary }, town.asIfIt('machine')),
    'no token': () => town.send('/revoke', {}, town.as('machine')),
  },
  '/userinfo': {
    'no token': () => town.userinfo({}),
    'a token that was never given': () => town.userinfo({ Authorization: `Bearer ${canary}` }),
    'a token that is over': async () => {
      const access = await accessOf(town)
      await endToken(town)
      assert.equal((await town.userinfo({ Authorization: `Bearer ${access}` })).status, 401)
    },
    'a token of somebody who was switched off': async () => {
      const { db, clock } = town.lido.services
      const id = await town.people.user('late@example.org')
      const { access } = await tokensOf(town.lido, town.workspace, 'late@example.org')
      await users.setStatus(db, clock.now(), town.people.id, id, 'inactive')
      assert.equal((await town.userinfo({ Authorization: `Bearer ${access}` })).status, 401)
    },
    'a token for something else than to know who it is': async () => {
      const fields = { grant_type: 'password', username: mike, password, scope: 'email' }
      const { access_token } = (await town.token(fields, town.as('legacy'))).body
      assert.equal((await town.userinfo({ Authorization: `Bearer ${access_token}` })).status, 403)
    },
    'a token that is bound to a key, without a proof': async () => {
      const { token, at } = await boundToken()
      assert.equal((await town.userinfo({ Authorization: `Bearer ${token}` })).status, 401, at)
    },
    'a token with the proof of another key': async () => {
      const { token, at } = await boundToken()
      const DPoP = await proofOf(await proofKey(), ['GET', at], { token })
      await town.userinfo({ Authorization: `DPoP ${token}`, DPoP })
    },
    'a DPoP proof that was used before': async () => {
      const { token, at } = await boundToken()
      const headers = { Authorization: `DPoP ${token}`, DPoP: await proofOf(town.key, ['GET', at], { token }) }
      assert.deepEqual([(await town.userinfo(headers)).status, (await town.userinfo(headers)).status], [200, 401])
    },
  },
  '/register': {
    'nobody may register': async () => inMode('off', () => register({ client_name: canary })),
    'no registration token': async () => inMode('token', () => register({ client_name: canary })),
    'a registration token that was never given': () => register({ client_name: canary }, canary),
    'metadata that mean nothing': () =>
      register({ ...application, logo_uri: `${canary}\r\n\u202e${'x'.repeat(2_000)}`, [canary]: 1 }),
    'a grant that the policy has not': () => register({ ...application, grant_types: ['client_credentials'] }),
    'a `redirect_uri` that the policy has not': () =>
      register({ ...application, redirect_uris: [`com.example.${canary}:/back`] }),
    'one too many': async () => {
      await setRegistration({ per_hour_and_network: 1, per_hour: 1 })
      await register(application)
      await register(application)
      await setRegistration({ per_hour_and_network: 1000, per_hour: 1000 })
      await town.lido.services.db.deleteFrom('limits').execute()
    },
    'a client registers': () => registered(),
  },
  '/register/:client': {
    'seen with a wrong token': async () => manage('GET', await registered(), undefined, canary),
    'changed with a wrong token': async () => manage('PUT', await registered(), application, canary),
    'deleted with a wrong token': async () => manage('DELETE', await registered(), undefined, canary),
    'changed without its `client_id`': async () =>
      manage('PUT', await registered(), { ...application, client_id: canary }),
    'changed into nonsense': async () => {
      const one = await registered()
      await manage('PUT', one, { ...application, client_id: one.client_id, logo_uri: canary })
    },
    'a client that was switched off': async () => {
      const one = await registered()
      const change = { status: 'inactive' as const }
      await town.lido.services.db.updateTable('clients').set(change).where('id', '=', String(one.client_id)).execute()
      await manage('GET', one)
    },
    changed: async () => {
      const one = await registered()
      await manage('PUT', one, { ...application, client_id: one.client_id })
    },
    deleted: async () => manage('DELETE', await registered()),
  },
  '/logout': {
    'an `id_token_hint` that is none': () => ask(`${town.workspace.issuer}/logout?id_token_hint=${canary}`),
    "an address that is not the client's": () =>
      ask(`${town.workspace.issuer}/logout?client_id=spa&post_logout_redirect_uri=https://evil.example/${canary}`),
    'a client that there is none': () => ask(`${town.workspace.issuer}/logout?client_id=${canary}`),
    'somebody signs out': async () => {
      const { browser } = await signIn(town.lido, town.workspace, mike)
      await browser.get(`${town.workspace.issuer}/logout`)
      await browser.submit({ logout: 'yes' })
    },
  },
  '/logout/confirm': { 'no form of ours': () => town.send('/logout/confirm', { xsrf: canary, logout: 'yes' }) },
  '/logout/success': {
    'a client that there is none': () => ask(`${town.workspace.issuer}/logout/success?client_id=${canary}`),
  },
}

const machine = { grant_type: 'client_credentials', resource: api, scope: 'read' }
const application = { client_name: 'Some application', redirect_uris: [callback] }

const requestBy = (signer: Awaited<ReturnType<typeof makeSigner>>) =>
  signer.request(town.workspace.issuer, 'asking', { ...wanted, redirect_uri: callback, nonce: canary })

const code = () => signIn(town.lido, town.workspace, mike)

const consentOf = async (email: string) => {
  const { browser } = await signIn(town.lido, town.workspace, email, { client_id: 'third', state: canary })
  assert.equal(browser.page.step, 'consent', browser.page.html)
  return browser
}

const withPassword = (username: string, secret: string) =>
  town.token({ grant_type: 'password', username, password: secret, scope: 'openid' }, town.as('legacy'))

const device = async () => {
  const { body } = await town.send('/device_authorization', { client_id: 'tv', scope: 'openid' })
  return body as unknown as { device_code: string; user_code: string }
}

const typed = async (userCode: string) => {
  const browser = openBrowser(town.lido.url)
  await browser.get('/w/town/device')
  await browser.submit({ user_code: userCode })
  return town.enter(browser.page.url, mike, browser)
}

/** Lets a device in or sends it away; answers its code. */
const letIn = async (decision: 'allow' | 'deny'): Promise<string> => {
  const { device_code, user_code } = await device()
  const browser = openBrowser(town.lido.url)
  await browser.get('/w/town/device')
  await browser.submit({ user_code })
  await browser.submit({ identifier: mike })
  await browser.submit({ password })
  assert.equal(browser.page.step, 'device-confirm', browser.page.html)
  await browser.submit({ decision })
  return device_code
}

const poll = async (device_code: string): Promise<Answer> => {
  await hurry(town)
  return town.token({ grant_type: deviceGrant, device_code, client_id: 'tv' })
}

/** Lets mike answer a request of a client; answers the request's id. */
const answered = async (decision: 'allow' | 'deny'): Promise<string> => {
  const { db } = town.lido.services
  await db.deleteFrom('backchannelRequests').execute()
  const asked = { login_hint: mike, scope: 'openid', binding_message: 'Till 4' }
  const { body, text } = await town.send('/backchannel', asked, town.as('shop'))
  assert.ok(body.auth_req_id, text)
  const browser = await town.enter('/account/requests')
  const link = await eventually(5_000, async () => {
    await browser.get('/w/town/account/requests')
    const [found] = /\/w\/town\/account\/requests\/[0-9a-f-]+/.exec(browser.page.html) ?? []
    assert.ok(found, browser.page.html)
    return found
  })
  await town.enter(link, mike, browser)
  await browser.submit({ decision })
  return String(body.auth_req_id)
}

const pollAnswer = async (auth_req_id: string): Promise<Answer> => {
  await hurry(town)
  return town.token({ grant_type: cibaGrant, auth_req_id }, town.as('shop'))
}

const exchange = (subject_token: string, more: Record<string, string> = {}) =>
  town.token(
    {
      grant_type: exchangeGrant,
      subject_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      ...more,
    },
    town.as('gate'),
  )

const boundToken = async () => {
  const DPoP = await proofOf(town.key, ['POST', `${town.workspace.issuer}/token`])
  const { access_token } = (await redeem(town.workspace.issuer, await code(), {}, { DPoP })).body
  return { token: String(access_token), at: `${town.workspace.issuer}/userinfo` }
}

const json = (body: unknown, token: string | undefined) => ({
  headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
})

const register = (body: unknown, token?: string): Promise<Answer> =>
  ask(`${town.workspace.issuer}/register`, { method: 'POST', ...json(body, token) })

/** A client that registered itself, by a token that operators gave. */
const registered = async () => {
  const { db, clock } = town.lido.services
  const about = { name: 't', uses: 1, expiresAt: new Date(clock.now().getTime() + 60_000) }
  const { value } = await db
    .transaction()
    .execute((trx) => registrationTokens.create(trx, clock.now(), town.workspace.id, about, { kind: 'system' }))
  const { status, body, text } = await register(application, value)
  assert.equal(status, 201, text)
  return body
}

const manage = (
  method: string,
  client: Answer['body'],
  body?: unknown,
  token = String(client.registration_access_token),
) => ask(String(client.registration_client_uri), { method, ...json(body, token) })

const setRegistration = (change: Partial<workspaces.WorkspaceSettings['registration']>): Promise<void> =>
  set(({ registration }) => ({ registration: { ...registration, ...change } }))

/** Asks until one sender has asked too often. */
const tooOften = async (path: string, fields: Record<string, string>): Promise<void> => {
  await set(() => ({ public_requests_per_minute: 1 }))
  const ask = () => town.send(path, fields, { 'X-Forwarded-For': '192.0.2.77' })
  for (let tries = 0; (await ask()).status !== 429; tries += 1) assert.ok(tries < 50)
  await set(() => ({ public_requests_per_minute: 300 }))
}

const set = async (
  change: (settings: workspaces.WorkspaceSettings) => Partial<workspaces.WorkspaceSettings>,
): Promise<void> => {
  const { db, clock } = town.lido.services
  const before = await workspaces.findBySlug(db, 'town')
  assert.ok(before)
  const settings = { ...before.settings, ...change(before.settings) }
  await workspaces.update(db, clock.now(), before, { ...before, settings }, { kind: 'system' })
  // The change takes a moment to be heard of.
  await new Promise((resolve) => setTimeout(resolve, 300))
}

const inMode = async (mode: 'off' | 'token', run: () => Promise<unknown>): Promise<void> => {
  await setRegistration({ mode })
  await run()
  await setRegistration({ mode: 'open' })
}

/** An event that a line promises: its type, and the error or the grant that it tells. */
interface Promised {
  type: string
  told: string | undefined
}

const promisedIn = (cell: string): Promised[] =>
  cell.split(', ').map((one) => {
    const [type = '', told] = [...one.matchAll(/`([^`]+)`/g)].map(([, text]) => text)
    return { type, told }
  })

const page = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8')
const lines = [...page.matchAll(/^\| `(\/[^`]*)` \| (.*?) \| (`.*`) \|$/gm)].map(
  ([, endpoint = '', what = '', cell = '']) => ({
    endpoint,
    what,
    promised: promisedIn(cell),
  }),
)

interface Told {
  type: string
  workspace_id: string | null
  client_id: string | null
  data: Record<string, unknown>
}

const toldSince = async (since: Date): Promise<Told[]> => {
  const { status, body } = await town.lido.call('GET', `/events?limit=100&since=${since.toISOString()}`)
  assert.equal(status, 200, JSON.stringify(body))
  return body.items as unknown as Told[]
}

const isRefusal = (type: string) => /^(token|authorization|userinfo|registration|logout)\.refused$/.test(type)

const fits = ({ type, data }: Told, { type: wantedType, told }: Promised, endpoint: string): boolean =>
  type === wantedType &&
  (!isRefusal(type) || (data.error === told && String(data.endpoint).replace('/:uid', '') === endpoint)) &&
  (type !== 'token.issued' || data.grant_type === told)

test('the table has a line for everything that is tried here, and no other', () => {
  assert.ok(lines.length > 80)
  assert.deepEqual(
    lines.map(({ endpoint, what }) => `${endpoint} ${what}`).sort(),
    Object.entries(doings)
      .flatMap(([endpoint, all]) => Object.keys(all).map((what) => `${endpoint} ${what}`))
      .sort(),
  )
})

for (const { endpoint, what, promised } of lines)
  test(`${endpoint}: ${what}`, async () => {
    await new Promise((resolve) => setTimeout(resolve, 2))
    const since = new Date()
    await doings[endpoint]?.[what]?.()
    await eventually(3_000, async () => {
      const events = await toldSince(since)
      for (const one of promised) {
        const event = events.find((each) => fits(each, one, endpoint))
        assert.ok(event, `${one.type} ${one.told} is not among ${JSON.stringify(events)}`)
        if (!isRefusal(one.type)) continue
        assert.equal(event.workspace_id, town.workspace.id)
        assert.ok(typeof event.data.reason === 'string' && event.data.reason.length > 5, JSON.stringify(event))
      }
    })
    const everything = JSON.stringify(await toldSince(since))
    assert.ok(!everything.includes(canary), everything)
    assert.doesNotMatch(everything, /eyJ[\w-]+\.eyJ|\\u0000|\\r|\\n/)
  })

test('whatever is sent, an event is one readable line, and names nobody that there is not', async () => {
  const since = new Date()
  const nasty = `${canary}\r\nSet-Cookie: a=b\u0001\u202e\ud83d${'\u{1f600}'.repeat(300)}`
  const form = (fields: Record<string, string>) => new URLSearchParams(fields)
  for (const path of ['/token', '/par', '/device_authorization', '/backchannel', '/introspect', '/revoke'])
    for (const client_id of [nasty, `${canary}\0`, 'spa'])
      await town.send(path, { client_id, grant_type: nasty, token: nasty, scope: nasty, request_uri: nasty })
  await ask(`${town.workspace.issuer}/authorize?${form({ client_id: nasty, claims: `{"${nasty}`, prompt: nasty })}`)
  await ask(`${town.workspace.issuer}/logout?${form({ client_id: nasty, id_token_hint: nasty })}`)
  await register({ ...application, client_name: '\ud800', logo_uri: nasty })
  await register({ ...application, jwks: { keys: [{ kty: nasty, [nasty]: nasty }] }, logo_uri: nasty })
  const events = await eventually(3_000, async () => {
    const told = await toldSince(since)
    for (const type of ['token', 'authorization', 'registration', 'logout'])
      assert.ok(
        told.some((one) => one.type === `${type}.refused`),
        type,
      )
    return told
  })
  for (const { client_id, data } of events) {
    assert.ok(client_id === null || client_id === 'spa', String(client_id))
    for (const text of Object.values(data)) assert.match(String(text), /^[\x20-\x7e…]{1,300}$/)
  }
  assert.ok(!JSON.stringify(events).includes(canary), JSON.stringify(events))
})
