import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { derOf, machineCertificate, strangerCertificate } from './certificates-testing.ts'
import { openClientCertificates, readCertificate } from './client-certificate.ts'

const options = {
  trustedProxies: ['192.0.2.1'],
  clientCertHeader: 'Client-Cert',
  clientCertVerifiedHeader: 'Client-Cert-Verified',
}

const from = (remoteAddress: string, headersDistinct: Record<string, string[]>) =>
  ({ socket: { remoteAddress }, headersDistinct }) as unknown as IncomingMessage

const escaped = encodeURIComponent(machineCertificate)

test('reads a certificate as proxies write it', () => {
  for (const text of [machineCertificate, escaped, `:${derOf(machineCertificate)}:`])
    assert.match(readCertificate(text)?.subject ?? '', /CN=machine\.example/)
})

test('reads nothing from what is no certificate', () => {
  const two = machineCertificate + strangerCertificate
  for (const text of ['', 'x', '%', ':AAAA:', 'AAAA', two, `${escaped}, ${escaped}`, 'x'.repeat(20_000)])
    assert.equal(readCertificate(text), undefined)
})

test('believes a certificate from a proxy that is trusted, and from nobody else', () => {
  const shown = openClientCertificates(options)
  const headers = { 'client-cert': [escaped], 'client-cert-verified': ['SUCCESS'] }
  assert(shown.of(from('192.0.2.1', headers)))
  assert(shown.isVerified(from('192.0.2.1', headers)))
  for (const peer of ['192.0.2.2', '', '::1']) {
    assert.equal(shown.of(from(peer, headers)), undefined)
    assert.equal(shown.isVerified(from(peer, headers)), false)
  }
})

test('believes neither of two, nor anything but SUCCESS', () => {
  const shown = openClientCertificates(options)
  const proxy = (headers: Record<string, string[]>) => from('192.0.2.1', headers)
  assert.equal(shown.of(proxy({ 'client-cert': [escaped, escaped] })), undefined)
  for (const said of [['success'], ['FAILED'], ['NONE'], ['SUCCESS', 'SUCCESS'], []])
    assert.equal(shown.isVerified(proxy({ 'client-cert-verified': said })), false)
})

test('knows of no certificates where no header is configured', () => {
  const none = openClientCertificates({ ...options, clientCertHeader: undefined, clientCertVerifiedHeader: undefined })
  const request = from('192.0.2.1', { 'client-cert': [escaped], undefined: [escaped] })
  assert.equal(none.of(request), undefined)
  assert.equal(none.isVerified(request), false)
})
