import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { machineCertificate, strangerCertificate } from '../platform/http/certificates-testing.ts'
import { namesOf } from './certificate-names.ts'

const machine = new X509Certificate(machineCertificate)

test('finds the names of a certificate by the field that a client registers', () => {
  const expected: [string, string[]][] = [
    ['tls_client_auth_subject_dn', ['CN=machine.example,O=Example\\, Inc.,C=DE']],
    ['tls_client_auth_san_dns', ['machine.example', 'other.example']],
    ['tls_client_auth_san_uri', ['https://machine.example/id']],
    ['tls_client_auth_san_ip', ['192.0.2.7']],
    ['tls_client_auth_san_email', ['ops@machine.example']],
    ['tls_client_auth_san_other', []],
  ]
  for (const [field, names] of expected) assert.deepEqual(namesOf(machine, field), names, field)
})

test('finds none where a certificate has none', () => {
  assert.deepEqual(namesOf(new X509Certificate(strangerCertificate), 'tls_client_auth_san_dns'), [])
})

test('takes no part of a name for a name', () => {
  const subjectAltName = 'URI:"https://evil.example/, DNS:machine.example", DNS:evil.example'
  const forged = { subjectAltName } as X509Certificate
  assert.deepEqual(namesOf(forged, 'tls_client_auth_san_dns'), ['evil.example'])
})
