import type { Work } from '../db/work.ts'
import type { WantedAcr } from '../directory/acr.ts'
import type { Client } from '../directory/clients.ts'
import type { Connection, Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'

/** Where a sign-in happens: the workspace and client, the person's language and address, and the request's writes. */
export interface Scene {
  services: Services
  workspace: Workspace
  client: Pick<Client, 'id' | 'metadata' | 'registeredBy'> | undefined
  lang: string
  ip: string
  work: Work
  /** How surely the client wants people to be known, where it said. */
  acr?: WantedAcr | undefined
  /** What else the client asks for, as scripts are told. */
  asked?: { scopes: string[]; resource: string[] } | undefined
  /** The browser's own memory, where there is a browser. */
  cookies?: Cookies | undefined
  /** How the browser describes itself (RFC 9110 section 10.1.5): enough to name a passkey by, and for nothing else. */
  agent?: string | undefined
}

/** Cookies that only this program reads. */
export interface Cookies {
  get(name: string): string | undefined
  set(name: string, value: string, until: Date): void
}

/** The connections that a client's people may come through, in order. */
export const openConnections = ({ workspace, client }: Pick<Scene, 'workspace' | 'client'>): Connection[] => {
  const wanted = client?.metadata.connections
  return workspace.connections.filter(
    ({ id, enabled, pool }) => enabled && pool.status === 'active' && (!wanted || wanted.includes(id)),
  )
}
