import { sign } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { isAcr } from '../../directory/acr.ts'
import { randomToken } from '../../platform/secrets.ts'
import type { SamlSettings } from './saml-settings.ts'
import { escapeXml, ns } from './saml-xml.ts'

/** What this installation is called at the other side: the address of its metadata for this connection. */
export const entityIdOf = (callback: string): string => `${callback}/metadata`

/** Where the other side sends a browser after it signed out there. */
export const logoutAddressOf = (callback: string): string => `${callback}/logout`

/** An identifier of a request: unguessable, and a name in XML (SAML core section 1.3.4). */
export const newRequestId = (): string => `_${randomToken()}`

interface Asking {
  id: string
  now: Date
  callback: string
  fresh: boolean
  acrValues: readonly string[]
}

/** An AuthnRequest whose answer comes by POST (SAML core section 3.4.1). */
export const authnRequest = (settings: SamlSettings, { id, now, callback, fresh, acrValues }: Asking): string =>
  open('AuthnRequest', {
    ID: id,
    Version: '2.0',
    IssueInstant: now.toISOString(),
    Destination: settings.sso_url,
    ProtocolBinding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
    AssertionConsumerServiceURL: callback,
    ...(fresh && { ForceAuthn: 'true' }),
  }) +
  issuer(entityIdOf(callback)) +
  nameIdPolicy(settings.name_id_format) +
  requestedContext(acrValues) +
  '</samlp:AuthnRequest>'

/** What ends somebody's session at the other side: what its assertion called them, and us. */
export interface SamlSession {
  ours: string
  name_id: string
  attributes: Record<string, string>
  index?: string | undefined
}

/** A LogoutRequest (SAML core section 3.7.1). */
export const logoutRequest = (destination: string, session: SamlSession, now: Date): string =>
  open('LogoutRequest', {
    ID: newRequestId(),
    Version: '2.0',
    IssueInstant: now.toISOString(),
    Destination: destination,
  }) +
  issuer(session.ours) +
  `<saml:NameID${attributes(session.attributes)}>${escapeXml(session.name_id)}</saml:NameID>` +
  (session.index ? `<samlp:SessionIndex>${escapeXml(session.index)}</samlp:SessionIndex>` : '') +
  '</samlp:LogoutRequest>'

/**
 * The address that takes a request there by the HTTP-Redirect binding (SAML bindings section 3.4.4), signed where
 * there is a key. The signature covers the query's very characters, so they are put together here once.
 */
export const redirectTo = (place: string, xml: string, relayState: string, key: string | null): URL => {
  const request = deflateRawSync(Buffer.from(xml)).toString('base64')
  const plain = `SAMLRequest=${encodeURIComponent(request)}&RelayState=${encodeURIComponent(relayState)}`
  const url = new URL(place)
  url.search = [url.search.slice(1), key === null ? plain : signed(plain, key)].filter(Boolean).join('&')
  return url
}

const signed = (query: string, key: string): string => {
  const all = `${query}&SigAlg=${encodeURIComponent('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256')}`
  return `${all}&Signature=${encodeURIComponent(sign('sha256', Buffer.from(all), key).toString('base64'))}`
}

const open = (name: string, values: Record<string, string>): string =>
  `<samlp:${name} xmlns:samlp="${ns.protocol}" xmlns:saml="${ns.assertion}"${attributes(values)}>`

const attributes = (values: Record<string, string>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeXml(value)}"`)
    .join('')

const issuer = (name: string): string => `<saml:Issuer>${escapeXml(name)}</saml:Issuer>`

/** The addresses of the kinds of names that can be asked for. */
export const nameIdFormats: Record<SamlSettings['name_id_format'], string> = {
  unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  emailAddress: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
}

const nameIdPolicy = (format: SamlSettings['name_id_format']): string =>
  `<samlp:NameIDPolicy${format === 'unspecified' ? '' : ` Format="${nameIdFormats[format]}"`} AllowCreate="true"/>`

// Ways of signing in are named by addresses; a name without a colon is of another language, and ours mean nothing there.
const requestedContext = (values: readonly string[]): string => {
  const named = values.filter((value) => value.includes(':') && !isAcr(value)).map(escapeXml)
  const classes = named.map((value) => `<saml:AuthnContextClassRef>${value}</saml:AuthnContextClassRef>`)
  if (!classes.length) return ''
  return `<samlp:RequestedAuthnContext Comparison="exact">${classes.join('')}</samlp:RequestedAuthnContext>`
}
