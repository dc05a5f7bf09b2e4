import { entityIdOf, logoutAddressOf, nameIdFormats } from './saml-request.ts'
import { certificateFault, readCertificate, type SamlSettings } from './saml-settings.ts'
import { isNamed } from './saml-signature.ts'
import {
  attribute,
  children,
  escapeXml,
  everyElement,
  momentOf,
  ns,
  onlyChild,
  parseXml,
  textOf,
  type XmlElement,
} from './saml-xml.ts'

const bindings = 'urn:oasis:names:tc:SAML:2.0:bindings'

/** What the other side has to know of us for this connection (SAML metadata section 2.4.4). */
export const ourMetadata = (settings: SamlSettings, callback: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n` +
  `<md:EntityDescriptor xmlns:md="${ns.metadata}" entityID="${escapeXml(entityIdOf(callback))}">` +
  `<md:SPSSODescriptor AuthnRequestsSigned="${settings.sign_requests}" WantAssertionsSigned="true"` +
  ` protocolSupportEnumeration="${ns.protocol}">` +
  keyDescriptor(settings.signing_certificate) +
  `<md:SingleLogoutService Binding="${bindings}:HTTP-Redirect" Location="${escapeXml(logoutAddressOf(callback))}"/>` +
  `<md:NameIDFormat>${nameIdFormats[settings.name_id_format]}</md:NameIDFormat>` +
  `<md:AssertionConsumerService Binding="${bindings}:HTTP-POST" Location="${escapeXml(callback)}"` +
  ` index="0" isDefault="true"/></md:SPSSODescriptor></md:EntityDescriptor>\n`

const keyDescriptor = (text: string | null): string => {
  const certificate = text === null ? undefined : readCertificate(text)
  if (!certificate) return ''
  const base64 = certificate.raw.toString('base64')
  return (
    `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="${ns.signature}"><ds:X509Data>` +
    `<ds:X509Certificate>${base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
  )
}

/** Settings that an identity provider's metadata says. */
export type SaidSettings = Pick<SamlSettings, 'entity_id' | 'sso_url' | 'slo_url' | 'certificates' | 'sign_requests'>

/**
 * Settings from the metadata that an identity provider publishes of itself; or what is missing in it. Its own
 * signature is not looked at: whoever pastes it has to have it from there.
 */
export const readMetadata = async (
  xml: string,
  now: Date,
): Promise<{ is: 'ok'; settings: SaidSettings } | { is: 'refused'; detail: string }> => {
  const root = await parseXml(xml)
  if (!root) return refused('This is no XML that is taken: a document type, comments and over 256 KiB are refused')
  const [entity, ...others] = everyElement(root).filter((element) => isProvider(element))
  if (!entity) return refused('This describes no SAML 2.0 identity provider')
  if (others.length) return refused('This describes several identity providers')
  if (hasEnded(root, now) || hasEnded(entity, now)) return refused('This has ended: its validUntil is past')
  const provider = onlyChild(entity, ns.metadata, 'IDPSSODescriptor')
  const sso = locationOf(provider, 'SingleSignOnService')
  if (!sso) return refused('It takes no requests by the HTTP-Redirect binding')
  const certificates = certificatesOf(provider)
  if (!certificates.length) return refused('It names no certificate with an RSA key of 2048 bits or more')
  const settings = {
    entity_id: attribute(entity, 'entityID') ?? '',
    sso_url: sso,
    slo_url: locationOf(provider, 'SingleLogoutService') ?? null,
    certificates,
    sign_requests: ['true', '1'].includes(attribute(provider, 'WantAuthnRequestsSigned') ?? ''),
  }
  return { is: 'ok', settings }
}

const refused = (detail: string) => ({ is: 'refused', detail }) as const

const isProvider = (element: XmlElement): boolean =>
  isNamed(element, ns.metadata, 'EntityDescriptor') &&
  attribute(element, 'entityID') !== undefined &&
  (attribute(onlyChild(element, ns.metadata, 'IDPSSODescriptor'), 'protocolSupportEnumeration') ?? '')
    .split(/\s+/)
    .includes(ns.protocol)

const hasEnded = (element: XmlElement, now: Date): boolean => {
  const text = attribute(element, 'validUntil')
  const end = momentOf(text)
  return text !== undefined && (!end || end <= now)
}

const locationOf = (provider: XmlElement | undefined, name: string): string | undefined =>
  children(provider, ns.metadata, name)
    .filter((service) => attribute(service, 'Binding') === `${bindings}:HTTP-Redirect`)
    .map((service) => attribute(service, 'Location'))
    .find((location) => location !== undefined)

// Where there are more than three, those that end last are the ones in use and to come.
const certificatesOf = (provider: XmlElement | undefined): string[] => {
  const keys = children(provider, ns.metadata, 'KeyDescriptor').filter(
    (key) => (attribute(key, 'use') ?? 'signing') === 'signing',
  )
  const texts = keys
    .flatMap(everyElement)
    .filter((element) => isNamed(element, ns.signature, 'X509Certificate'))
    .flatMap((element) => textOf(element)?.replace(/\s/g, '') ?? [])
  const usable = [...new Set(texts)].filter((text) => certificateFault(text) === undefined)
  return usable.sort((a, b) => endOf(b) - endOf(a)).slice(0, 3)
}

const endOf = (text: string): number => readCertificate(text)?.validToDate.getTime() ?? 0
