import assert from 'node:assert/strict'
import { test } from 'node:test'
import { certify } from './certificate-testing.ts'
import { saml } from './saml.ts'
import { ourMetadata, readMetadata } from './saml-metadata.ts'

const now = new Date('2026-11-21T12:00:00Z')
const key = certify()
const bare = (certificate: string) => certificate.replace(/-----.*-----|\s/g, '')

const descriptor = (certificate: string, use = ' use="signing"') =>
  `<KeyDescriptor${use}><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>\n` +
  `${certificate}\n</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`

const service = (name: string, binding: string, location: string) =>
  `<${name} Binding="urn:oasis:names:tc:SAML:2.0:bindings:${binding}" Location="${location}"/>`

const published = ({
  keys = descriptor(bare(key.certificate)),
  services = service('SingleLogoutService', 'HTTP-Redirect', 'https://idp.example/slo') +
    service('SingleSignOnService', 'HTTP-POST', 'https://idp.example/post') +
    service('SingleSignOnService', 'HTTP-Redirect', 'https://idp.example/sso?a=1&amp;b=2'),
  attributes = '',
  head = '',
} = {}) =>
  `${head}<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"${attributes}>` +
  '<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>' +
  '<IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">' +
  `${keys}${services}</IDPSSODescriptor></EntityDescriptor>`

const refuses = async (xml: string, detail: RegExp): Promise<void> => {
  const read = await readMetadata(xml, now)
  assert.equal(read.is, 'refused')
  assert.match((read as { detail: string }).detail, detail)
}

test('reads settings from the metadata of an identity provider', async () => {
  assert.deepEqual(await readMetadata(published({ head: '\uFEFF<?xml version="1.0"?>\n' }), now), {
    is: 'ok',
    settings: {
      entity_id: 'https://idp.example',
      sso_url: 'https://idp.example/sso?a=1&b=2',
      slo_url: 'https://idp.example/slo',
      certificates: [bare(key.certificate)],
      sign_requests: true,
    },
  })
})

test('reads the one identity provider among several parties', async () => {
  const around = (content: string) =>
    `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">${content}</EntitiesDescriptor>`
  const other = '<EntityDescriptor entityID="https://sp.example"/>'
  assert.equal((await readMetadata(around(`${other}${published()}`), now)).is, 'ok')
  await refuses(around(`${published()}${published()}`), /several identity providers/)
  await refuses(around(other), /no SAML 2\.0 identity provider/)
})

test('takes the three certificates for signing that end last, and each once', async () => {
  const until = (year: number) => bare(certify({ until: new Date(`${year}-06-01`) }).certificate)
  const [a, b, c, d] = [until(2021), until(2030), until(2028), until(2029)]
  const twice = `${descriptor(d)}${descriptor(d, '')}`
  const others = descriptor(until(2044), ' use="encryption"') + descriptor(bare(certify({ type: 'ec' }).certificate))
  const keys = `${descriptor(a)}${descriptor(b)}${descriptor(c)}${twice}${others}`
  const read = await readMetadata(published({ keys }), now)
  assert.deepEqual(read.is === 'ok' && read.settings.certificates, [b, d, c])
})

test('says what metadata lacks', async () => {
  await refuses('no xml', /no XML/)
  await refuses(published({ head: '<!DOCTYPE x [<!ENTITY a "b">]>' }), /no XML that is taken/)
  await refuses(published({ attributes: `>${' '.repeat(300_000)}<x/` }), /no XML that is taken/)
  await refuses(published({ attributes: ' validUntil="2026-11-21T12:00:00Z"' }), /has ended/)
  await refuses(published({ attributes: ' validUntil="later"' }), /has ended/)
  await refuses(published({ keys: '' }), /no certificate/)
  await refuses(published({ keys: descriptor('bm8=') }), /no certificate/)
  await refuses(published({ services: service('SingleSignOnService', 'HTTP-POST', 'https://x') }), /HTTP-Redirect/)
  assert.equal((await readMetadata(published({ attributes: ' validUntil="2026-11-21T12:00:01Z"' }), now)).is, 'ok')
})

test('describes itself with its addresses, and its certificate where it has one', () => {
  const settings = saml.settings.parse({
    entity_id: 'https://idp.example',
    sso_url: 'https://idp.example/sso',
    certificates: [key.certificate],
  })
  const plain = ourMetadata(settings, 'https://id.example.org/callback/7d5c')
  assert.match(plain, /entityID="https:\/\/id\.example\.org\/callback\/7d5c\/metadata"/)
  assert.match(plain, /AuthnRequestsSigned="false" WantAssertionsSigned="true"/)
  assert.match(
    plain,
    /AssertionConsumerService Binding="[^"]*HTTP-POST" Location="https:\/\/id\.example\.org\/callback\/7d5c"/,
  )
  assert.doesNotMatch(plain, /KeyDescriptor/)
  const signing = { ...settings, sign_requests: true, signing_key: key.key, signing_certificate: key.certificate }
  const signed = ourMetadata(signing, 'https://id.example.org/callback/7d5c')
  assert.match(signed, /AuthnRequestsSigned="true"/)
  assert.ok(signed.includes(`<ds:X509Certificate>${bare(key.certificate)}<`))
  assert.doesNotMatch(signed, /PRIVATE/)
})
