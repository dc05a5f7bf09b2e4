import { domainToASCII } from 'node:url'
import { domainOf, readIdentifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'
import type { SamlSession } from './saml-request.ts'
import { nameIdFormats } from './saml-request.ts'
import type { SamlSettings } from './saml-settings.ts'
import { attribute, children, ns, onlyChild, textOf, type XmlElement } from './saml-xml.ts'

/** What an assertion calls somebody. */
export interface NameId {
  value: string
  format: string
  /** As written, for the request that signs them out. */
  attributes: Record<string, string>
}

/** The values of each attribute, by its name and, where no other has it for a name, by its friendly name. */
export type Attributes = ReadonlyMap<string, string[]>

/** The NameID of a verified assertion; undefined where it is missing, encrypted, or more than a text. */
export const nameIdOf = (assertion: XmlElement): NameId | undefined => {
  const element = onlyChild(onlyChild(assertion, ns.assertion, 'Subject'), ns.assertion, 'NameID')
  const value = textOf(element)
  if (value === undefined) return undefined
  const names = ['Format', 'NameQualifier', 'SPNameQualifier', 'SPProvidedID']
  const written = names.flatMap((name) => {
    const text = attribute(element, name)
    return text === undefined ? [] : [[name, text] as const]
  })
  return {
    value,
    format: attribute(element, 'Format') ?? nameIdFormats.unspecified,
    attributes: Object.fromEntries(written),
  }
}

/** What a verified assertion says of somebody. */
export const attributesOf = (assertion: XmlElement): Attributes => {
  const statements = children(assertion, ns.assertion, 'AttributeStatement')
  const written = statements.flatMap((statement) => children(statement, ns.assertion, 'Attribute'))
  const found = new Map<string, string[]>()
  for (const one of written) add(found, attribute(one, 'Name'), valuesOf(one))
  const names = new Set(found.keys())
  for (const one of written) {
    const friendly = attribute(one, 'FriendlyName')
    if (friendly && !names.has(friendly)) add(found, friendly, valuesOf(one))
  }
  return found
}

/** The attributes and the name as a record: one value as a text, several as a list. */
const claimsOf = (attributes: Attributes, nameId: NameId | undefined): Record<string, unknown> =>
  Object.fromEntries([
    ...[...attributes].map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
    ...(nameId
      ? [
          ['name_id', nameId.value],
          ['name_id_format', nameId.format],
        ]
      : []),
  ])

/** Somebody as an assertion tells of them; or why they cannot be told apart from others. */
export const personOf = (
  settings: SamlSettings,
  nameId: NameId | undefined,
  attributes: Attributes,
): Outsider | string => {
  const externalId = accountKey(settings, nameId, attributes)
  if (typeof externalId !== 'string') return externalId.fault
  return {
    externalId,
    identifiers: emails(settings, nameId, attributes),
    claims: claimsOf(attributes, nameId),
    profile: profileOf(attributes),
    roles: values(attributes, settings.roles_attribute, usual.roles),
    groups: values(attributes, settings.groups_attribute, usual.groups),
    tenant: settings.tenant_id_field === null ? undefined : attributes.get(settings.tenant_id_field)?.[0],
  }
}

const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'

// One account key for good: what is another at the next sign-in, or may be one of several, is none.
const accountKey = (
  { subject_attribute, name_id_format }: SamlSettings,
  nameId: NameId | undefined,
  attributes: Attributes,
): string | { fault: string } => {
  if (subject_attribute !== null) {
    const [only, ...others] = attributes.get(subject_attribute) ?? []
    return (
      sized(others.length ? undefined : only) ?? { fault: 'The subject_attribute does not have exactly one value.' }
    )
  }
  if (!nameId) return { fault: 'The assertion has no NameID that can be read.' }
  if (nameId.format === transient) return { fault: 'The NameID is transient, and there is no subject_attribute.' }
  if (name_id_format !== 'unspecified' && nameId.format !== nameIdFormats[name_id_format]) {
    return { fault: `The NameID is not of the format ${name_id_format}.` }
  }
  return sized(nameId.value) ?? { fault: 'The NameID is too long.' }
}

const sized = (key: string | undefined): string | undefined =>
  key !== undefined && key.length <= 255 && !/\p{Cc}/u.test(key) ? key : undefined

const emails = (
  settings: SamlSettings,
  nameId: NameId | undefined,
  attributes: Attributes,
): Outsider['identifiers'] => {
  const [told] = values(attributes, settings.email_attribute, usual.email)
  const named = nameId?.format === nameIdFormats.emailAddress ? nameId.value : undefined
  const typed = told ?? (settings.email_attribute === null ? named : undefined)
  const email = typed === undefined ? undefined : readIdentifier(typed, ['email'])
  if (!email) return []
  const domains = settings.verified_domains.map((domain) => domainToASCII(domain.toLowerCase()))
  return [{ kind: 'email', typed: email.typed, verified: domains.includes(domainOf(email) ?? '') }]
}

const profileOf = (attributes: Attributes): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(profileNames).flatMap(([claim, names]) => {
      const [value] = values(attributes, null, names)
      return value === undefined ? [] : [[claim, value]]
    }),
  )

const values = (attributes: Attributes, chosen: string | null, names: readonly string[]): string[] => {
  const name = chosen ?? names.find((one) => attributes.has(one))
  return (name !== undefined && attributes.get(name)) || []
}

const soap = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims'

/** The names that identity providers go by: LDAP's by its numbers, Microsoft's and plain ones. */
const usual = {
  email: ['urn:oid:0.9.2342.19200300.100.1.3', `${soap}/emailaddress`, 'mail', 'email', 'emailAddress', 'Email'],
  roles: ['http://schemas.microsoft.com/ws/2008/06/identity/claims/role', 'roles', 'Role', 'role'],
  groups: [
    'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups',
    'urn:oid:1.3.6.1.4.1.5923.1.5.1.1',
    'http://schemas.xmlsoap.org/claims/Group',
    'groups',
    'memberOf',
  ],
}

const profileNames = {
  name: [
    'urn:oid:2.16.840.1.113730.3.1.241',
    'http://schemas.microsoft.com/identity/claims/displayname',
    'displayName',
  ],
  given_name: ['urn:oid:2.5.4.42', `${soap}/givenname`, 'givenName', 'firstName', 'given_name'],
  family_name: ['urn:oid:2.5.4.4', `${soap}/surname`, 'sn', 'surname', 'lastName', 'family_name'],
  locale: ['urn:oid:2.16.840.1.113730.3.1.39', 'preferredLanguage', 'locale'],
}

const valuesOf = (element: XmlElement): string[] =>
  children(element, ns.assertion, 'AttributeValue').flatMap((value) => value.textContent?.trim() || [])

const add = (found: Map<string, string[]>, name: string | undefined, texts: string[]): void => {
  if (name && texts.length) found.set(name, [...(found.get(name) ?? []), ...texts])
}

const secondFactors = [
  'https://refeds.org/profile/mfa',
  'http://schemas.microsoft.com/claims/multipleauthn',
  'urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract',
  'urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorUnregistered',
]

/** How somebody proved who they are there, as RFC 8176 calls it, as far as SAML has words for it. */
export const methodsOf = (acr: string | undefined, attributes: Attributes): string[] => {
  const told = attributes.get('http://schemas.microsoft.com/claims/authnmethodsreferences') ?? []
  return [acr ?? '', ...told].some((one) => secondFactors.includes(one)) ? ['mfa'] : []
}

/** What signing somebody out there needs; undefined where the assertion has no name for them. */
export const sessionOf = (ours: string, nameId: NameId | undefined, authn: XmlElement): SamlSession | undefined =>
  nameId && { ours, name_id: nameId.value, attributes: nameId.attributes, index: attribute(authn, 'SessionIndex') }
