import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeSigner } from '../signer-testing.ts'
import { verifyDiscovery } from './discovery-testing.ts'
import {
  type Flow,
  goodbye,
  openSuite,
  type Params,
  type Suite,
  type SuiteClient,
  withoutGaps,
} from './suite-testing.ts'

/**
 * `oidcc-rp-initiated-logout-certification-test-plan`: all of its modules. Where the suite wants a screenshot, the page that
 * came up is looked at, and that the session still is or is not there.
 */
let suite: Suite
let client: SuiteClient
before(async () => {
  suite = await openSuite()
  client = await suite.client({ first_party: true })
})
after(() => suite.stop())

interface LoggedOut extends Flow {
  url: string
  step: string | undefined
  status: number
}

/** Signs somebody in and sends them to the end_session_endpoint; what is asked there is answered with yes. */
const logout = async (change: (flow: Flow) => Params | Promise<Params> = () => ({})): Promise<LoggedOut> => {
  const flow = await suite.flow(client)
  const asked = {
    id_token_hint: flow.idToken,
    post_logout_redirect_uri: goodbye,
    state: 'bye',
    ...(await change(flow)),
  }
  const { browser } = flow
  await browser.get(`${suite.metadata.end_session_endpoint}?${new URLSearchParams(withoutGaps(asked))}`)
  if (browser.page.step === 'logout') await browser.submit({ logout: 'yes' })
  const { url, step, status } = browser.page
  return { ...flow, url, step, status }
}

const isSignedIn = async ({ browser }: LoggedOut): Promise<boolean> => {
  const { answer } = await suite.visit(client, { prompt: 'none' }, browser)
  if (answer.get('error')) assert.equal(answer.get('error'), 'login_required')
  return answer.get('code') !== null
}

/** An error page of our own, and nothing has ended: what is wrong could have been sent by anybody. */
const isRefused = async (done: LoggedOut): Promise<void> => {
  assert.deepEqual([done.status, done.step], [400, 'problem'])
  assert.equal(new URL(done.url).origin, new URL(suite.issuer).origin)
  assert.equal(await isSignedIn(done), true)
}

/** A page of our own that says that it is done, and it is. */
const isDoneHere = async (done: LoggedOut): Promise<void> => {
  assert.deepEqual([done.status, done.step], [200, 'loggedout'])
  assert.equal(new URL(done.url).origin, new URL(suite.issuer).origin)
  assert.equal(await isSignedIn(done), false)
}

test('oidcc-rp-initiated-logout-discovery-endpoint-verification: discovery tells the end_session_endpoint', async () => {
  await verifyDiscovery(suite)
  assert.equal(suite.metadata.end_session_endpoint, `${suite.issuer}/logout`)
})

test('oidcc-rp-initiated-logout: goes back with the state, and nobody is signed in any more', async () => {
  const done = await logout()
  assert.equal(done.url, `${goodbye}?state=bye`)
  assert.equal(await isSignedIn(done), false)
})

test('oidcc-rp-initiated-logout-bad-post-logout-redirect-uri: an address that is not registered gets a page', async () => {
  await isRefused(await logout(() => ({ post_logout_redirect_uri: 'https://suite.example/bad' })))
})

test('oidcc-rp-initiated-logout-modified-id-token-hint: a hint whose signature does not fit gets a page', async () => {
  const change = ({ idToken }: Flow) => `${idToken.slice(0, -6)}${idToken.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'}`
  await isRefused(await logout((flow) => ({ id_token_hint: change(flow) })))
})

test('oidcc-rp-initiated-logout-no-id-token-hint: without a hint the browser stays at a page of ours', async () => {
  await isDoneHere(await logout(() => ({ id_token_hint: '' })))
})

test('oidcc-rp-initiated-logout-no-params: without anything the person is asked, and stays at a page of ours', async () => {
  await isDoneHere(await logout(() => ({ id_token_hint: '', post_logout_redirect_uri: '', state: '' })))
})

test('oidcc-rp-initiated-logout-no-post-logout-redirect-uri: the hint alone ends the session at a page of ours', async () => {
  await isDoneHere(await logout(() => ({ post_logout_redirect_uri: '' })))
})

test('oidcc-rp-initiated-logout-no-state: goes back without a state', async () => {
  const done = await logout(() => ({ state: '' }))
  assert.equal(done.url, goodbye)
  assert.equal(await isSignedIn(done), false)
})

test('oidcc-rp-initiated-logout-only-state: the state alone goes nowhere', async () => {
  await isDoneHere(await logout(() => ({ id_token_hint: '', post_logout_redirect_uri: '' })))
})

test('oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri: one parameter more is another address', async () => {
  await isRefused(await logout(() => ({ post_logout_redirect_uri: `${goodbye}?foo=bar` })))
})

test('oidcc-rp-initiated-logout-bad-id-token-hint: a hint that the suite signed itself gets a page', async () => {
  const stranger = await makeSigner('RS256')
  await isRefused(await logout(async ({ claims }) => ({ id_token_hint: await stranger.sign(claims) })))
})
