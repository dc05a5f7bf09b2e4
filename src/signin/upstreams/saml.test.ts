import assert from 'node:assert/strict'
import { createVerify } from 'node:crypto'
import { test } from 'node:test'
import { fixedClock } from '../../platform/clock.ts'
import { certify } from './certificate-testing.ts'
import { saml } from './saml.ts'
import { openSamlIdp, type Said, type SamlIdp, type Signing, samlTools } from './saml-testing.ts'
import type { Arrived, Departing, NotArrived } from './upstream.ts'

const callback = 'https://id.example.org/callback/7d5c'
const clock = fixedClock(new Date('2026-11-21T12:00:00Z'))
const idp = openSamlIdp(clock.now)
const ours = certify()
const signing = { sign_requests: true, signing_key: ours.key, signing_certificate: ours.certificate }

const openWith = (settings: Record<string, unknown> = {}, tools = samlTools(clock)) =>
  saml.open(saml.settings.parse({ ...idp.settings, ...settings }), tools)

const departFrom = async (upstream: ReturnType<typeof openWith>, at: Partial<Departing> = {}) => {
  const departed = await upstream.depart({ callback, state: 'a-state', ...at })
  assert.equal(departed.is, 'ok')
  return departed as Extract<typeof departed, { is: 'ok' }>
}

const visit = async (
  settings: Record<string, unknown> = {},
  said: Partial<Said> = {},
  how: {
    signing?: Partial<Signing>
    at?: Partial<Departing>
    from?: SamlIdp
    tools?: ReturnType<typeof samlTools>
  } = {},
): Promise<Arrived | NotArrived> => {
  const upstream = openWith(settings, how.tools)
  const { to, keep } = await departFrom(upstream, how.at)
  const returned = (how.from ?? idp).answer(to, said, how.signing)
  return upstream.arrive(returned, JSON.parse(JSON.stringify(keep)), { callback, state: 'a-state' })
}

const arrived = async (...visiting: Parameters<typeof visit>): Promise<Arrived> => {
  const answer = await visit(...visiting)
  assert.equal(answer.is, 'ok', JSON.stringify(answer))
  return answer as Arrived
}

const refusedFor = async (detail: RegExp, ...visiting: Parameters<typeof visit>): Promise<void> => {
  const answer = await visit(...visiting)
  assert.equal(answer.is, 'refused')
  assert.match((answer as NotArrived).detail, detail)
}

test('asks by redirect, with the state as RelayState and no more than SAML needs', async () => {
  const { to } = await departFrom(openWith())
  assert.equal(`${to.origin}${to.pathname}`, idp.settings.sso_url)
  assert.deepEqual([...to.searchParams.keys()], ['SAMLRequest', 'RelayState'])
  const asked = idp.read(to)
  assert.equal(asked.relayState, 'a-state')
  assert.equal(asked.callback, callback)
  assert.equal(asked.issuer, `${callback}/metadata`)
  assert.match(asked.xml, /IssueInstant="2026-11-21T12:00:00\.000Z"/)
  assert.doesNotMatch(asked.xml, /ForceAuthn|RequestedAuthnContext/)
})

test('asks for a fresh proof, a kind of name and a way of signing in', async () => {
  const upstream = openWith({ name_id_format: 'persistent', send_login_hint: true })
  const at = {
    fresh: true,
    acrValues: ['urn:oasis:names:tc:SAML:2.0:ac:classes:X509', 'mfa', 'urn:lido:acr:2fa'],
    loginHint: 'm+k@example.org',
  }
  const { to } = await departFrom(upstream, at)
  const { xml } = idp.read(to)
  assert.match(xml, /ForceAuthn="true"/)
  assert.match(xml, /NameIDPolicy Format="urn:oasis:names:tc:SAML:2\.0:nameid-format:persistent"/)
  assert.match(xml, /<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2\.0:ac:classes:X509</)
  assert.doesNotMatch(xml, />mfa<|lido:acr/)
  assert.equal(to.searchParams.get('login_hint'), 'm+k@example.org')
})

test('signs the very characters of the query', async () => {
  const { to } = await departFrom(
    openWith({ ...signing, sso_url: 'https://idp.example/sso?tenant=a%20b', send_login_hint: true }),
    {
      loginHint: 'mike@example.org',
    },
  )
  const [covered = '', signature = ''] = to.search
    .slice(1)
    .replace(/^tenant=a%20b&/, '')
    .replace(/&login_hint=.*/, '')
    .split('&Signature=')
  assert.match(covered, /^SAMLRequest=[^&]+&RelayState=a-state&SigAlg=[^&]+$/)
  const verify = createVerify('RSA-SHA256').update(covered)
  assert.ok(verify.verify(ours.certificate, decodeURIComponent(signature), 'base64'))
})

test('makes another request each time', async () => {
  const upstream = openWith()
  const ids = await Promise.all(Array.from({ length: 20 }, async () => idp.read((await departFrom(upstream)).to).id))
  assert.equal(new Set(ids).size, 20)
})

test('lets somebody in by a signed assertion and tells all that it says', async () => {
  const { user, acr, at, session } = await arrived(
    { tenant_id_field: 'company', verified_domains: ['Example.org'] },
    {
      nameId: ' a1b2&amp;c3 ',
      attributes: {
        'urn:oid:0.9.2342.19200300.100.1.3|mail': ['Mike@example.org'],
        'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname': ['Mike'],
        sn: ['Miller'],
        groups: ['staff', 'chess'],
        roles: ['editor'],
        company: ['acme'],
        empty: [''],
      },
    },
  )
  assert.equal(user.externalId, 'a1b2&c3')
  assert.deepEqual(user.identifiers, [{ kind: 'email', typed: 'Mike@example.org', verified: true }])
  assert.deepEqual(user.profile, { given_name: 'Mike', family_name: 'Miller' })
  assert.deepEqual([user.groups, user.roles, user.tenant], [['staff', 'chess'], ['editor'], 'acme'])
  assert.equal(user.claims.mail, 'Mike@example.org')
  assert.equal(user.claims['urn:oid:0.9.2342.19200300.100.1.3'], 'Mike@example.org')
  assert.deepEqual(user.claims.groups, ['staff', 'chess'])
  assert.ok(!('empty' in user.claims))
  assert.equal(acr, 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport')
  assert.deepEqual(at, clock.now())
  assert.ok(session)
})

test('tells of a second factor where the other side has proven one', async () => {
  assert.deepEqual((await arrived()).amr, [])
  assert.deepEqual((await arrived({}, { acr: 'https://refeds.org/profile/mfa' })).amr, ['mfa'])
  const name = 'http://schemas.microsoft.com/claims/authnmethodsreferences'
  const values = ['http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password']
  assert.deepEqual((await arrived({}, { attributes: { [name]: values } })).amr, [])
  const both = [...values, 'http://schemas.microsoft.com/claims/multipleauthn']
  assert.deepEqual((await arrived({}, { attributes: { [name]: both } })).amr, ['mfa'])
})

test('counts an address as verified only in the domains that it answers for', async () => {
  const attributes = { mail: ['mike@mail.example.org'] }
  for (const verified_domains of [[], ['example.org'], ['xample.org', 'mail.example.com']]) {
    const { user } = await arrived({ verified_domains }, { attributes })
    assert.deepEqual(user.identifiers, [{ kind: 'email', typed: 'mike@mail.example.org', verified: false }])
  }
  const { user } = await arrived({ verified_domains: ['mail.example.org'] }, { attributes })
  assert.equal(user.identifiers[0]?.verified, true)
})

test('takes the address from the NameID where that is one, and none that cannot be read', async () => {
  const format = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
  const named = await arrived({}, { format, nameId: 'mike@example.org' })
  assert.deepEqual(named.user.identifiers, [{ kind: 'email', typed: 'mike@example.org', verified: false }])
  const other = await arrived({ email_attribute: 'address' }, { format, nameId: 'mike@example.org' })
  assert.deepEqual(other.user.identifiers, [])
  const odd = await arrived({}, { attributes: { mail: ['no address'] } })
  assert.deepEqual(odd.user.identifiers, [])
})

test('takes no name for an account that is another the next time', async () => {
  const format = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
  await refusedFor(/transient/, {}, { format })
  const attributes = { uid: ['u-1'], many: ['a', 'b'] }
  const { user } = await arrived({ subject_attribute: 'uid' }, { format, attributes })
  assert.equal(user.externalId, 'u-1')
  await refusedFor(/exactly one/, { subject_attribute: 'many' }, { attributes })
  await refusedFor(/exactly one/, { subject_attribute: 'missing' }, { attributes })
})

test('takes no other kind of name than was asked for', async () => {
  const format = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
  await refusedFor(/not of the format persistent/, { name_id_format: 'persistent' }, { format })
  await arrived({ name_id_format: 'persistent' })
  await refusedFor(/too long/, {}, { nameId: 'x'.repeat(256) })
  await refusedFor(/no NameID/, {}, { nameId: '' })
  await refusedFor(/no NameID/, {}, { nameId: 'mike<b xmlns="x">@example.org</b>' })
})

test('takes a name with special characters for nothing but a text', async () => {
  const { user } = await arrived({}, { attributes: { __proto__x: ['1'], constructor: ['2'], '__proto__|p': ['3'] } })
  assert.equal(Object.getPrototypeOf(user.claims), Object.prototype)
  assert.equal(user.claims.constructor, '2')
  assert.equal(Object.getOwnPropertyDescriptor(user.claims, '__proto__')?.value, '3')
})

test('heeds the difference that clocks may have, and no more', async () => {
  const second = 1000
  const shift = (ms: number) => new Date(clock.now().getTime() + ms)
  await arrived({}, { notBefore: shift(29 * second), issued: shift(29 * second), proved: shift(29 * second) })
  await arrived({}, { notOnOrAfter: shift(-29 * second), confirmedUntil: shift(-29 * second) })
  await refusedFor(/not valid yet/, {}, { notBefore: shift(31 * second) })
  await refusedFor(/no longer valid/, {}, { notOnOrAfter: shift(-30 * second) })
  await refusedFor(/no longer valid/, {}, { confirmedUntil: shift(-30 * second) })
  await refusedFor(/future/, {}, { issued: shift(31 * second) })
  await refusedFor(/future/, {}, { proved: shift(31 * second) })
  await refusedFor(/session there has ended/, {}, { sessionUntil: shift(-30 * second) })
  await arrived({}, { sessionUntil: shift(second) })
  await refusedFor(/not valid yet/, { allow_clock_skew_seconds: 0 }, { notBefore: shift(1) })
  await arrived({ allow_clock_skew_seconds: 120 }, { notBefore: shift(119 * second) })
})

test('wants a proof as young as was asked for', async () => {
  const old = { proved: new Date(clock.now().getTime() - 3_600_000) }
  await arrived({}, old)
  await refusedFor(/too long ago/, { force_authn: true }, old)
  await refusedFor(/too long ago/, {}, old, { at: { fresh: true } })
  await refusedFor(/too long ago/, {}, old, { at: { maxAge: 1800 } })
  await arrived({}, old, { at: { maxAge: 3600 } })
  await arrived({ force_authn: true })
})

test('takes an assertion once: of twenty at once, one', async () => {
  const tools = samlTools(clock)
  const upstream = openWith({}, tools)
  const { to, keep } = await departFrom(upstream)
  const returned = idp.answer(to)
  const tries = Array.from({ length: 20 }, () => upstream.arrive(returned, keep, { callback, state: 'a-state' }))
  const answers = await Promise.all(tries)
  assert.equal(answers.filter(({ is }) => is === 'ok').length, 1)
  assert.deepEqual(
    answers.find(({ is }) => is !== 'ok'),
    { is: 'refused', detail: 'The assertion was used before.' },
  )
})

test('remembers an assertion for as long as it could be used', async () => {
  const kept: Date[] = []
  const tools = { ...samlTools(clock), once: async (_key: string, until: Date) => Boolean(kept.push(until)) }
  await arrived({}, {}, { tools })
  assert.deepEqual(kept, [new Date(clock.now().getTime() + 330_000)])
})

test('lets nobody in while it cannot be remembered what was used', async () => {
  const once = () => Promise.reject(new Error('the database is away'))
  const answer = await visit({}, {}, { tools: { ...samlTools(clock), once } })
  assert.equal(answer.is, 'unavailable')
})

test('takes the old and the new certificate, and none that was taken away', async () => {
  const next = certify()
  const nextIdp = openSamlIdp(clock.now, { key: next })
  const both = { certificates: [idp.key.certificate, next.certificate] }
  await arrived(both)
  await arrived(both, {}, { from: nextIdp })
  await arrived({ certificates: [next.certificate.replace(/-----.*-----/g, '')] }, {}, { from: nextIdp })
  await refusedFor(/fits none of the certificates/, { certificates: [next.certificate] })
})

test('takes SHA-512, and a response that is signed as well', async () => {
  await arrived({}, {}, { signing: { algorithm: 'sha512', digest: 'sha512' } })
  await arrived({}, {}, { signing: { parts: ['Assertion', 'Response'] } })
})

test('passes on why somebody was not let in, in words of the standard alone', async () => {
  const status = (...codes: string[]) =>
    `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${codes[0]}">` +
    `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${codes[1]}"/></samlp:StatusCode>` +
    '<samlp:StatusMessage>mike@example.org is locked</samlp:StatusMessage>'
  const denied = await visit({}, { status: status('Responder', 'AuthnFailed') })
  assert.deepEqual(denied, { is: 'denied', detail: 'The status is Responder, AuthnFailed.' })
  const refused = await visit({}, { status: status('Requester', 'InvalidNameIDPolicy') })
  assert.deepEqual(refused, { is: 'refused', detail: 'The status is Requester, InvalidNameIDPolicy.' })
  const odd = await visit({}, { status: status('mike@example.org', 'x') })
  assert.deepEqual(odd, { is: 'refused', detail: 'The status is unknown.' })
})

test('signs somebody out there under the name that they came by', async () => {
  const upstream = openWith(signing)
  const { session } = await arrived(signing, { nameId: 'mike&amp;co', sessionIndex: '_s&amp;9' })
  const to = await upstream.leave?.(JSON.parse(JSON.stringify(session)), {
    back: 'https://id.example.org/',
    state: 'bye',
  })
  assert.ok(to)
  assert.equal(`${to.origin}${to.pathname}`, idp.settings.slo_url)
  const { xml, issuer, relayState } = idp.read(to)
  assert.equal(relayState, 'bye')
  assert.equal(issuer, `${callback}/metadata`)
  assert.match(
    xml,
    /<saml:NameID Format="urn:oasis:names:tc:SAML:2\.0:nameid-format:persistent">mike&#38;co<\/saml:NameID>/,
  )
  assert.match(xml, /<samlp:SessionIndex>_s&#38;9<\/samlp:SessionIndex>/)
  assert.ok(to.searchParams.get('Signature'))
})

test('signs nobody out where it has no address for it, or knows no session', async () => {
  const { session } = await arrived()
  const at = { back: 'https://id.example.org/', state: 'bye' }
  assert.equal(await openWith({ slo_url: null }).leave?.(session, at), undefined)
  assert.equal(await openWith().leave?.({ some: 'thing' }, at), undefined)
})

test('tells which certificate ends when, and whether the other side answers', async () => {
  const ended = certify({ until: new Date('2026-01-31') })
  const away = { ...samlTools(clock), fetch: () => Promise.reject(new Error('no')) }
  const tried = await openWith({ certificates: [idp.key.certificate, ended.certificate] }, away).test()
  assert.deepEqual(
    tried.map(({ ok }) => ok),
    [true, false, false],
  )
  assert.match(tried[0]?.detail ?? '', /RSA of 2048 bits, ends on 2045-01-01/)
  assert.match(tried[1]?.detail ?? '', /Ended on 2026-01-31/)
  assert.deepEqual(
    (await openWith().test()).map(({ ok }) => ok),
    [true, true],
  )
})

const refusesSettings = (settings: Record<string, unknown>, message: RegExp) => {
  const read = saml.settings.safeParse({ ...idp.settings, ...settings })
  assert.ok(!read.success)
  assert.match(JSON.stringify(read.error.issues), message)
  assert.doesNotMatch(JSON.stringify(read.error.issues), /PRIVATE KEY/)
}

test('refuses settings that cannot work, and says why', () => {
  const { certificate, key } = certify()
  refusesSettings({ sign_requests: true }, /needs a key and its certificate/)
  refusesSettings({ signing_key: ours.key }, /certificate of the key is missing/)
  refusesSettings({ signing_certificate: ours.certificate }, /key of the certificate is missing/)
  refusesSettings({ signing_key: key, signing_certificate: ours.certificate }, /not the RSA key of the certificate/)
  refusesSettings({ signing_key: 'x', signing_certificate: ours.certificate }, /not the RSA key of the certificate/)
  refusesSettings({ certificates: [] }, /certificates/)
  refusesSettings({ certificates: Array(4).fill(certificate) }, /certificates/)
  refusesSettings({ certificates: [`${certificate}${certificate}`] }, /is not one X\.509 certificate/)
  refusesSettings({ certificates: ['bm8='] }, /is not one X\.509 certificate/)
  refusesSettings({ certificates: [certify({ bits: 1024 }).certificate] }, /less than 2048 bits/)
  refusesSettings({ certificates: [certify({ type: 'ec' }).certificate] }, /RSA key/)
  refusesSettings({ sso_url: 'http://idp.example/sso' }, /https/)
  refusesSettings({ sso_url: 'javascript:alert(1)' }, /sso_url/)
  refusesSettings({ allow_clock_skew_seconds: 121 }, /allow_clock_skew_seconds/)
  refusesSettings({ verified_domains: ['*'] }, /domain/)
  refusesSettings({ surprise: true }, /surprise/)
})
