import type { Client } from '../directory/clients.ts'
import { kindOf } from '../directory/registered-metadata.ts'

/** What people are told of an application that came without anybody here having looked at it. */
export interface Unknown {
  key: 'consent.unknown.document' | 'consent.unknown.registered'
  /** Where it is from, or where it leads back to: as browsers write it, so that letters that look alike are told apart. */
  host: string
  /** Whether it leads back to a program on the person's own device. */
  device: boolean
}

/** What is unknown about a client; null for one that an operator knows. */
export const unknownOf = (
  client: Pick<Client, 'id' | 'metadata' | 'registeredBy'> | undefined,
  redirectUri: unknown,
): Unknown | null => {
  if (!client || client.registeredBy === 'operator' || client.metadata.first_party) return null
  const back = typeof redirectUri === 'string' ? redirectUri : ''
  const device = back !== '' && kindOf(back) !== 'https'
  if (client.registeredBy === 'document') return { key: 'consent.unknown.document', host: hostOf(client.id), device }
  return { key: 'consent.unknown.registered', host: hostOf(back) || client.metadata.client_name, device }
}

const hostOf = (uri: string): string => URL.parse(uri)?.host ?? ''
