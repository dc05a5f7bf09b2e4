import type { X509Certificate } from 'node:crypto'

/** The fields by which a client says which name of a certificate is its own (RFC 8705 section 2.1.2). */
const kinds: Record<string, string> = {
  tls_client_auth_san_dns: 'DNS',
  tls_client_auth_san_uri: 'URI',
  tls_client_auth_san_ip: 'IP Address',
  tls_client_auth_san_email: 'email',
}

/** What a certificate says for one of those fields; the subject as RFC 4514 writes it. */
export const namesOf = (certificate: X509Certificate, field: string): string[] => {
  if (field === 'tls_client_auth_subject_dn') return [subjectOf(certificate)]
  const kind = kinds[field]
  const names = certificate.subjectAltName ?? ''
  // A value with anything special in it is written in quotes, so that no name can pass for two.
  return [...names.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)].flatMap(([, found, value = '']) =>
    found === kind ? [value.startsWith('"') ? JSON.parse(value) : value] : [],
  )
}

// Node has a line for each part, in the order of the certificate; RFC 4514 section 2.1 has the last one first.
const subjectOf = ({ subject }: X509Certificate): string => subject.split('\n').reverse().join(',')
