import { createPrivateKey, X509Certificate } from 'node:crypto'
import { domainToASCII } from 'node:url'
import { z } from 'zod'

/** A certificate as an operator gives it: in PEM, or only its base64; undefined where it is none. */
export const readCertificate = (text: string): X509Certificate | undefined => {
  const base64 = text.replace(/-----(?:BEGIN|END) CERTIFICATE-----/g, '').replace(/\s/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || text.split('-----BEGIN').length > 2) return undefined
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'))
  } catch {
    return undefined
  }
}

/** What is wrong with a certificate; undefined where it can be used. Its dates do not matter: only its key is trusted. */
export const certificateFault = (text: string): string | undefined => {
  const certificate = readCertificate(text)
  if (!certificate) return 'is not one X.509 certificate in PEM or base64'
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  if (asymmetricKeyType !== 'rsa') return 'has to hold an RSA key'
  return (asymmetricKeyDetails?.modulusLength ?? 0) < 2048 ? 'has a key of less than 2048 bits' : undefined
}

const certificate = z
  .string()
  .max(10_000)
  .check((ctx) => {
    const fault = certificateFault(ctx.value)
    if (fault) ctx.issues.push({ code: 'custom', message: `The certificate ${fault}`, input: '' })
  })

/** Browsers are sent there: by https, or to this very machine. */
const place = z
  .url({ protocol: /^https?$/ })
  .max(2000)
  .refine(
    (text) => {
      const url = URL.parse(text)
      return url?.protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '')
    },
    { error: 'The address has to begin with https://' },
  )

const attributeName = z
  .string()
  .regex(/^\S(?:.{0,498}\S)?$/)
  .nullable()
  .default(null)

const domain = z
  .string()
  .max(253)
  .refine((text) => /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(domainToASCII(text.toLowerCase())), {
    error: 'A domain looks like example.com',
  })

/** What an operator says of a SAML identity provider. */
export const samlSettings = z
  .strictObject({
    entity_id: z.string().min(1).max(1024).describe('The entity ID (issuer) of the identity provider'),
    sso_url: place.describe('Where people sign in there: its single sign-on address for the HTTP-Redirect binding'),
    slo_url: place
      .nullable()
      .default(null)
      .describe('Where people sign out there: its single logout address for the HTTP-Redirect binding'),
    certificates: z
      .array(certificate)
      .min(1)
      .max(3)
      .describe('The certificates it signs with, in PEM or base64; all of them count, so that a new one can be added'),
    sign_requests: z.boolean().default(false).describe('Whether it wants requests signed'),
    signing_certificate: certificate
      .nullable()
      .default(null)
      .describe('The certificate of `signing_key`, for it to see'),
    signing_key: z
      .string()
      .max(20_000)
      .nullable()
      .default(null)
      .describe('An RSA key of 2048 bits or more in PEM (PKCS #8) that requests are signed with'),
    name_id_format: z
      .enum(['unspecified', 'persistent', 'emailAddress'])
      .default('unspecified')
      .describe('Which kind of name to ask for; with `unspecified` it chooses, else no other kind is taken'),
    subject_attribute: attributeName.describe('The attribute that tells accounts apart; null for the NameID'),
    email_attribute: attributeName.describe('The attribute with the address; null for the usual names'),
    roles_attribute: attributeName.describe('The attribute with the roles; null for the usual names'),
    groups_attribute: attributeName.describe('The attribute with the groups; null for the usual names'),
    tenant_id_field: attributeName.describe('The attribute that names the tenant'),
    verified_domains: z
      .array(domain)
      .max(100)
      .default([])
      .describe('The domains whose addresses it answers for; addresses of others count as unverified'),
    force_authn: z.boolean().default(false).describe('Whether people have to prove themselves there each time'),
    send_login_hint: z
      .boolean()
      .default(false)
      .describe('Whether what somebody typed here is passed on as `login_hint`, which Entra ID and Okta understand'),
    allow_clock_skew_seconds: z.int().min(0).max(120).default(30).describe('By how much the clocks may differ'),
  })
  .check((ctx) => {
    for (const { path, message } of signingFaults(ctx.value)) {
      ctx.issues.push({ code: 'custom', path: [path], message, input: '' })
    }
  })
export type SamlSettings = z.infer<typeof samlSettings>

type Signing = Pick<SamlSettings, 'sign_requests' | 'signing_key' | 'signing_certificate'>

const signingFaults = (settings: Signing): { path: string; message: string }[] => {
  const { sign_requests, signing_key, signing_certificate } = settings
  if (signing_key === null && signing_certificate === null) {
    return sign_requests ? [{ path: 'signing_key', message: 'Signing requests needs a key and its certificate' }] : []
  }
  if (signing_key === null) return [{ path: 'signing_key', message: 'The key of the certificate is missing' }]
  if (signing_certificate === null) {
    return [{ path: 'signing_certificate', message: 'The certificate of the key is missing' }]
  }
  return belongTogether(signing_key, signing_certificate)
    ? []
    : [{ path: 'signing_key', message: 'The key is not the RSA key of the certificate' }]
}

const belongTogether = (key: string, text: string): boolean => {
  try {
    return readCertificate(text)?.checkPrivateKey(createPrivateKey(key)) === true
  } catch {
    return false
  }
}
