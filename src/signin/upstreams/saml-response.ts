import { isNamed, verifiedAssertion } from './saml-signature.ts'
import {
  attribute,
  children,
  elements,
  momentOf,
  ns,
  onlyChild,
  parseXml,
  textOf,
  type XmlElement,
} from './saml-xml.ts'
import type { NotArrived } from './upstream.ts'

/** What a response has to answer to. */
export interface Expected {
  /** The entity ID of the identity provider. */
  issuer: string
  /** Ours, which the assertion has to be meant for. */
  audience: string
  callback: string
  requestId: string
  certificates: readonly string[]
  now: Date
  skewSeconds: number
  /** They have to have proved themselves there since then. */
  provedSince?: Date | undefined
}

/** A verified assertion, and until when it could be used again if nobody remembered it. */
export interface Stated {
  is: 'ok'
  id: string
  until: Date
  assertion: XmlElement
  authn: XmlElement
  at: Date
}

/** Reads the response to a request of ours (SAML profiles section 4.1.4.3); everything in it comes from signed bytes. */
export const readResponse = async (xml: string, expected: Expected): Promise<Stated | NotArrived> => {
  const response = await parseXml(xml)
  if (!response) return refused('The response is no XML that is taken.')
  const fault = envelopeFault(response, expected) ?? statusFault(response)
  if (fault) return fault
  const assertion = await verifiedAssertion(xml, response, expected.certificates)
  return typeof assertion === 'string' ? refused(assertion) : readAssertion(assertion, expected)
}

const refused = (detail: string): NotArrived => ({ is: 'refused', detail })

// The envelope may be unsigned: what it says can only make things worse, and the assertion says it again.
const envelopeFault = (response: XmlElement, expected: Expected): NotArrived | undefined => {
  if (!isNamed(response, ns.protocol, 'Response')) return refused('What came is not a SAML response.')
  if (attribute(response, 'Version') !== '2.0') return refused('The response is not of SAML 2.0.')
  if (attribute(response, 'Destination') !== expected.callback) return refused('The Destination is another address.')
  if (attribute(response, 'InResponseTo') !== expected.requestId)
    return refused('The response answers another request.')
  const issuers = children(response, ns.assertion, 'Issuer')
  return issuers.every((issuer) => textOf(issuer) === expected.issuer)
    ? undefined
    : refused('The response is of another issuer.')
}

const statusName = 'urn:oasis:names:tc:SAML:2.0:status:'

/** Of these the person, or what may be asked of them, is the cause; of others the two sides. */
const denials = ['AuthnFailed', 'NoAuthnContext', 'NoAvailableIDP', 'NoPassive', 'RequestDenied', 'UnknownPrincipal']

const otherStatuses = ['Requester', 'Responder', 'VersionMismatch', 'InvalidNameIDPolicy', 'RequestUnsupported']

// Only names that the standard knows are passed on: the text beside them is somebody's words.
const statusFault = (response: XmlElement): NotArrived | undefined => {
  const outer = onlyChild(onlyChild(response, ns.protocol, 'Status'), ns.protocol, 'StatusCode')
  const codes = [outer, onlyChild(outer, ns.protocol, 'StatusCode')].map((code) => attribute(code, 'Value') ?? '')
  if (codes[0] === `${statusName}Success`) return undefined
  const names = codes.map((code) => code.replace(statusName, ''))
  const known = names.filter((name) => [...denials, ...otherStatuses].includes(name))
  const isDenial = names.some((name) => denials.includes(name))
  return { is: isDenial ? 'denied' : 'refused', detail: `The status is ${known.join(', ') || 'unknown'}.` }
}

const readAssertion = (assertion: XmlElement, expected: Expected): Stated | NotArrived => {
  const id = attribute(assertion, 'ID')
  const confirmed = confirmation(assertion, expected)
  if (typeof confirmed === 'string') return refused(confirmed)
  const fault = assertionFault(assertion, expected) ?? conditionsFault(assertion, expected)
  if (fault) return refused(fault)
  const authn = onlyChild(assertion, ns.assertion, 'AuthnStatement')
  const at = momentOf(attribute(authn, 'AuthnInstant'))
  if (!id || !authn || !at) return refused('The assertion does not say when somebody proved who they are.')
  const stale = authnFault(authn, at, expected)
  return stale ? refused(stale) : { is: 'ok', id, until: later(confirmed, expected.skewSeconds), assertion, authn, at }
}

const assertionFault = (assertion: XmlElement, { issuer, now, skewSeconds }: Expected): string | undefined => {
  if (attribute(assertion, 'Version') !== '2.0') return 'The assertion is not of SAML 2.0.'
  if (textOf(onlyChild(assertion, ns.assertion, 'Issuer')) !== issuer) return 'The assertion is of another issuer.'
  const issued = momentOf(attribute(assertion, 'IssueInstant'))
  return issued && issued <= later(now, skewSeconds) ? undefined : 'The assertion is from the future.'
}

/** Until when a bearer may show the assertion here (SAML profiles section 4.1.4.2), or why not at all. */
const confirmation = (assertion: XmlElement, expected: Expected): Date | string => {
  const subject = onlyChild(assertion, ns.assertion, 'Subject')
  const bearers = children(subject, ns.assertion, 'SubjectConfirmation').filter(
    (one) => attribute(one, 'Method') === 'urn:oasis:names:tc:SAML:2.0:cm:bearer',
  )
  const read = bearers.map((one) => bearerUntil(onlyChild(one, ns.assertion, 'SubjectConfirmationData'), expected))
  return read.find((one) => typeof one !== 'string') ?? read[0] ?? 'The assertion is not for whoever bears it.'
}

const bearerUntil = (data: XmlElement | undefined, expected: Expected): Date | string => {
  if (attribute(data, 'Recipient') !== expected.callback) return 'The Recipient is another address.'
  if (attribute(data, 'InResponseTo') !== expected.requestId) return 'The assertion answers another request.'
  const until = momentOf(attribute(data, 'NotOnOrAfter'))
  return periodFault(data, expected) ?? until ?? 'The assertion does not say until when it can be used.'
}

const knownConditions = ['AudienceRestriction', 'OneTimeUse', 'ProxyRestriction']

const conditionsFault = (assertion: XmlElement, expected: Expected): string | undefined => {
  const conditions = onlyChild(assertion, ns.assertion, 'Conditions')
  const audiences = children(conditions, ns.assertion, 'AudienceRestriction')
  if (!conditions || !audiences.length) return 'The assertion does not say whom it is for.'
  if (!audiences.every((restriction) => isMeantFor(restriction, expected.audience))) return 'The Audience is another.'
  const known = knownConditions.flatMap((name) => children(conditions, ns.assertion, name))
  const isKnown = known.length === elements(conditions).length
  return isKnown ? periodFault(conditions, expected) : 'There is an unknown condition.'
}

const isMeantFor = (restriction: XmlElement, audience: string): boolean =>
  children(restriction, ns.assertion, 'Audience').some((one) => textOf(one) === audience)

const authnFault = (authn: XmlElement, at: Date, expected: Expected): string | undefined => {
  const { now, skewSeconds, provedSince } = expected
  if (at > later(now, skewSeconds)) return 'They proved who they are in the future.'
  if (provedSince && later(at, skewSeconds) < provedSince) return 'They proved who they are too long ago.'
  const ends = attribute(authn, 'SessionNotOnOrAfter')
  return ends && !isBefore(now, ends, skewSeconds) ? 'Their session there has ended.' : undefined
}

// What is written but cannot be read as a moment bounds everything.
const periodFault = (element: XmlElement | undefined, { now, skewSeconds }: Expected): string | undefined => {
  const [from, until] = [attribute(element, 'NotBefore'), attribute(element, 'NotOnOrAfter')]
  const begins = from === undefined ? now : momentOf(from)
  if (!begins || later(now, skewSeconds) < begins) return 'The assertion is not valid yet.'
  return until !== undefined && !isBefore(now, until, skewSeconds) ? 'The assertion is no longer valid.' : undefined
}

const isBefore = (now: Date, text: string, skewSeconds: number): boolean => {
  const end = momentOf(text)
  return end !== undefined && now < later(end, skewSeconds)
}

const later = (moment: Date, seconds: number): Date => new Date(moment.getTime() + seconds * 1000)
