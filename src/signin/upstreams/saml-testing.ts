import { inflateRawSync } from 'node:zlib'
import { signXml } from '@node-saml/node-saml/lib/xml.js'
import { readConfig } from '../../config.ts'
import type { Clock } from '../../platform/clock.ts'
import { type CertifiedKey, certify } from './certificate-testing.ts'
import type { Returned, UpstreamTools } from './upstream.ts'

/** What a response says. Each part can be made wrong. */
export interface Said {
  issuer: string
  destination: string
  recipient: string
  audience: string
  /** What the response, and what its assertion, says that it answers; undefined for nothing. */
  answers: string | undefined
  confirms: string | undefined
  issued: Date
  proved: Date
  notBefore: Date
  notOnOrAfter: Date
  confirmedUntil: Date
  sessionUntil: Date | undefined
  status: string
  responseId: string
  assertionId: string
  /** Put in as it is, so that it can hold markup. */
  nameId: string
  format: string
  /** Name, or name and friendly name divided by a bar, to values. */
  attributes: Record<string, string[]>
  acr: string
  sessionIndex: string
  /** Beside the audience, as it is. */
  condition: string
}

/** Which parts are signed, with what. */
export interface Signing {
  key: CertifiedKey
  parts: readonly ('Assertion' | 'Response')[]
  algorithm: 'sha1' | 'sha256' | 'sha512'
  digest: 'sha1' | 'sha256' | 'sha512'
}

/** What a request that came by redirect asks. */
export interface Asked {
  id: string
  issuer: string
  callback: string
  destination: string
  relayState: string
  xml: string
}

/** A double of a SAML identity provider that can say everything, true or forged; only a clock is behind it. */
export interface SamlIdp {
  entityId: string
  key: CertifiedKey
  /** Settings that trust it. */
  settings: { entity_id: string; sso_url: string; slo_url: string; certificates: string[] }
  read(to: URL): Asked
  /** A response in XML, signed as asked. */
  respond(asked: Asked, said?: Partial<Said>, signing?: Partial<Signing>): string
  /** The same as what the browser posts. */
  answer(to: URL, said?: Partial<Said>, signing?: Partial<Signing>): Returned
}

/** What a browser posts. */
export const posted = (xml: string, relayState: string): Returned => ({
  method: 'POST',
  fields: { SAMLResponse: Buffer.from(xml).toString('base64'), RelayState: relayState },
})

/** Opens a double under an address where nothing listens. */
export const openSamlIdp = (
  now: () => Date,
  { entityId = 'https://idp.example/saml', place = 'http://127.0.0.1:9/saml', key = certify() } = {},
): SamlIdp => {
  const respond: SamlIdp['respond'] = (asked, said = {}, signing = {}) =>
    signResponse(responseOf({ ...truth(entityId, asked, now()), ...said }), { ...usual(key), ...signing })
  return {
    entityId,
    key,
    settings: {
      entity_id: entityId,
      sso_url: `${place}/sso`,
      slo_url: `${place}/slo`,
      certificates: [key.certificate],
    },
    read: readRequest,
    respond,
    answer: (to, said, signing) => posted(respond(readRequest(to), said, signing), readRequest(to).relayState),
  }
}

/** Signs parts of a response as it stands. */
export const signResponse = (xml: string, { key, parts, algorithm, digest }: Signing): string =>
  parts.reduce(
    (signed, part) =>
      signXml(
        signed,
        `//*[local-name(.)='${part}']`,
        { reference: `//*[local-name(.)='${part}']/*[local-name(.)='Issuer']`, action: 'after' },
        { privateKey: key.key, publicCert: key.certificate, signatureAlgorithm: algorithm, digestAlgorithm: digest },
      ),
    xml,
  )

const usual = (key: CertifiedKey): Signing => ({ key, parts: ['Assertion'], algorithm: 'sha256', digest: 'sha256' })

const readRequest = (to: URL): Asked => {
  const xml = inflateRawSync(Buffer.from(to.searchParams.get('SAMLRequest') ?? '', 'base64')).toString()
  const attribute = (name: string) => new RegExp(` ${name}="([^"]*)"`).exec(xml)?.[1]?.replaceAll('&#38;', '&') ?? ''
  return {
    id: attribute('ID'),
    issuer: /<saml:Issuer>([^<]*)</.exec(xml)?.[1] ?? '',
    callback: attribute('AssertionConsumerServiceURL'),
    destination: attribute('Destination'),
    relayState: to.searchParams.get('RelayState') ?? '',
    xml,
  }
}

let made = 0

const truth = (issuer: string, { id, callback, issuer: audience }: Asked, now: Date): Said => ({
  issuer,
  destination: callback,
  recipient: callback,
  audience,
  answers: id,
  confirms: id,
  issued: now,
  proved: now,
  notBefore: new Date(now.getTime() - 5_000),
  notOnOrAfter: new Date(now.getTime() + 300_000),
  confirmedUntil: new Date(now.getTime() + 300_000),
  sessionUntil: undefined,
  status: '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>',
  responseId: `_r${++made}`,
  assertionId: `_a${made}-${process.pid}-${now.getTime()}`,
  nameId: 'mike',
  format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  attributes: {},
  acr: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
  sessionIndex: '_s1',
  condition: '',
})

const responseOf = (said: Said): string =>
  `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"` +
  ` ID="${said.responseId}" Version="2.0" IssueInstant="${said.issued.toISOString()}"` +
  ` Destination="${said.destination}"${optional('InResponseTo', said.answers)}>` +
  `<saml:Issuer>${said.issuer}</saml:Issuer><samlp:Status>${said.status}</samlp:Status>` +
  `${assertionOf(said)}</samlp:Response>`

const assertionOf = (said: Said): string =>
  `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema"` +
  ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="${said.assertionId}" Version="2.0"` +
  ` IssueInstant="${said.issued.toISOString()}"><saml:Issuer>${said.issuer}</saml:Issuer>` +
  `<saml:Subject><saml:NameID Format="${said.format}">${said.nameId}</saml:NameID>` +
  `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">` +
  `<saml:SubjectConfirmationData Recipient="${said.recipient}"${optional('InResponseTo', said.confirms)}` +
  ` NotOnOrAfter="${said.confirmedUntil.toISOString()}"/></saml:SubjectConfirmation></saml:Subject>` +
  `<saml:Conditions NotBefore="${said.notBefore.toISOString()}" NotOnOrAfter="${said.notOnOrAfter.toISOString()}">` +
  `<saml:AudienceRestriction><saml:Audience>${said.audience}</saml:Audience></saml:AudienceRestriction>` +
  `${said.condition}</saml:Conditions>` +
  `<saml:AuthnStatement AuthnInstant="${said.proved.toISOString()}" SessionIndex="${said.sessionIndex}"` +
  `${optional('SessionNotOnOrAfter', said.sessionUntil?.toISOString())}><saml:AuthnContext>` +
  `<saml:AuthnContextClassRef>${said.acr}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
  `${statementOf(said.attributes)}</saml:Assertion>`

const statementOf = (attributes: Said['attributes']): string => {
  const written = Object.entries(attributes).map(([names, values]) => {
    const [name = '', friendly] = names.split('|')
    const texts = values.map((value) => `<saml:AttributeValue xsi:type="xs:string">${value}</saml:AttributeValue>`)
    return `<saml:Attribute Name="${name}"${optional('FriendlyName', friendly)}>${texts.join('')}</saml:Attribute>`
  })
  return written.length ? `<saml:AttributeStatement>${written.join('')}</saml:AttributeStatement>` : ''
}

const optional = (name: string, value: string | undefined): string => (value === undefined ? '' : ` ${name}="${value}"`)

/** Everything an upstream is handed, with what was seen once kept in memory. */
export const samlTools = (clock: Clock): UpstreamTools => {
  const seen = new Set<string>()
  return {
    clock,
    config: readConfig({ NODE_ENV: 'test' }),
    fetch: async () => ({ status: 200, headers: {}, text: () => '', json: () => ({}) }),
    once: async (key) => !seen.has(key) && Boolean(seen.add(key)),
  }
}
