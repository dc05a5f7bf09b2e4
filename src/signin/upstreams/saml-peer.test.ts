import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { certify } from './certificate-testing.ts'
import { saml } from './saml.ts'
import { readMetadata } from './saml-metadata.ts'
import { samlTools } from './saml-testing.ts'

interface Party {
  entityMeta: { getEntityID(): string }
}

interface Request {
  extract: { request?: { id: string }; nameID?: string }
}

interface Peer extends Party {
  getMetadata(): string
  parseLoginRequest(from: Party, binding: string, request: object): Promise<Request>
  parseLogoutRequest(from: Party, binding: string, request: object): Promise<Request>
  createLoginResponse(
    to: Party,
    request: Request,
    binding: string,
    user: object,
    fill: Fill,
  ): Promise<{ context: string }>
}

type Fill = (template: string) => { id: string; context: string }

interface Samlify {
  setSchemaValidator(validator: { validate(): Promise<string> }): void
  IdentityProvider(settings: object): Peer
  ServiceProvider(settings: { metadata: string; wantMessageSigned: boolean }): Party
  SamlLib: {
    defaultLoginResponseTemplate: { context: string }
    replaceTagsByValue(template: string, values: Record<string, string>): string
  }
}

// Its types would bring those of a browser into the whole program.
const require = createRequire(import.meta.url)
const { IdentityProvider, SamlLib, ServiceProvider, setSchemaValidator }: Samlify = require('samlify')

// Schemas are checked by a package of their own; here the identity provider's own reading is enough.
setSchemaValidator({ validate: async () => 'not checked' })

const callback = 'https://id.example.org/callback/7d5c'
const theirs = certify()
const ours = certify()
const redirect = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'

// samlify's own template says nothing of when and how somebody proved who they are, which the profile wants.
const context = SamlLib.defaultLoginResponseTemplate.context.replace(
  '{AuthnStatement}',
  '<saml:AuthnStatement AuthnInstant="{IssueInstant}" SessionIndex="_s1"><saml:AuthnContext><saml:AuthnContextClassRef>' +
    'urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>',
)

const peer = IdentityProvider({
  entityID: 'https://peer.example/metadata',
  signingCert: theirs.certificate,
  privateKey: theirs.key,
  wantAuthnRequestsSigned: true,
  wantLogoutRequestSigned: true,
  isAssertionEncrypted: false,
  nameIDFormat: ['urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'],
  singleSignOnService: [{ Binding: redirect, Location: 'https://peer.example/sso' }],
  singleLogoutService: [{ Binding: redirect, Location: 'https://peer.example/slo' }],
  requestSignatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  loginResponseTemplate: {
    context,
    attributes: [
      {
        name: 'mail',
        valueTag: 'mail',
        nameFormat: 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
        valueXsiType: 'xs:string',
      },
    ],
  },
})

/** Both sides, each set up from what the other publishes of itself. */
const meet = async (wantMessageSigned: boolean) => {
  const read = await readMetadata(peer.getMetadata(), new Date())
  assert.ok(read.is === 'ok')
  const settings = { ...read.settings, signing_key: ours.key, signing_certificate: ours.certificate }
  const upstream = saml.open(saml.settings.parse(settings), samlTools(systemClock))
  const metadata = upstream.metadata?.(callback).body ?? ''
  return { upstream, party: ServiceProvider({ metadata, wantMessageSigned }) }
}

const requestOf = (to: URL) => ({
  query: Object.fromEntries(to.searchParams),
  octetString: to.search.slice(1).replace(/&Signature=.*$/, ''),
})

const fill =
  (id: string, party: Party): Fill =>
  (template) => {
    const now = new Date()
    const soon = new Date(now.getTime() + 60_000).toISOString()
    const values = {
      ID: '_r1',
      AssertionID: '_a1',
      Destination: callback,
      SubjectRecipient: callback,
      Audience: party.entityMeta.getEntityID(),
      Issuer: peer.entityMeta.getEntityID(),
      IssueInstant: now.toISOString(),
      StatusCode: 'urn:oasis:names:tc:SAML:2.0:status:Success',
      ConditionsNotBefore: now.toISOString(),
      ConditionsNotOnOrAfter: soon,
      SubjectConfirmationDataNotOnOrAfter: soon,
      NameIDFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
      NameID: 'mike@example.org',
      InResponseTo: id,
      attrMail: 'mike@example.org',
    }
    return { id: '_r1', context: SamlLib.replaceTagsByValue(template, values) }
  }

for (const wantMessageSigned of [false, true]) {
  test(`meets samlify there and back, with ${wantMessageSigned ? 'response and assertion' : 'the assertion'} signed`, async () => {
    const { upstream, party } = await meet(wantMessageSigned)
    const departed = await upstream.depart({ callback, state: 'a-state', fresh: true })
    assert.ok(departed.is === 'ok')
    const request = await peer.parseLoginRequest(party, 'redirect', requestOf(departed.to))
    const id = request.extract.request?.id ?? ''
    const reply = await peer.createLoginResponse(party, request, 'post', {}, fill(id, party))
    const fields = { SAMLResponse: reply.context, RelayState: 'a-state' }
    const arrived = await upstream.arrive({ method: 'POST', fields }, departed.keep, { callback, state: 'a-state' })
    assert.ok(arrived.is === 'ok', JSON.stringify(arrived))
    assert.equal(arrived.user.externalId, 'mike@example.org')
    assert.equal(arrived.user.claims.mail, 'mike@example.org')
    const away = await upstream.leave?.(arrived.session, { back: callback, state: 'bye' })
    assert.ok(away)
    const leaving = await peer.parseLogoutRequest(party, 'redirect', requestOf(away))
    assert.equal(leaving.extract.nameID, 'mike@example.org')
  })
}

test('signs requests so that samlify refuses changed ones', async () => {
  const { upstream, party } = await meet(false)
  const departed = await upstream.depart({ callback, state: 'a-state' })
  assert.ok(departed.is === 'ok')
  const request = requestOf(departed.to)
  const changed = { ...request, octetString: request.octetString.replace('a-state', 'b-state') }
  await assert.rejects(peer.parseLoginRequest(party, 'redirect', changed))
})
