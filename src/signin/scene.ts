import type { Work } from '../db/work.ts'
import type { Client } from '../directory/clients.ts'
import type { Connection, Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'

/** Where a sign-in happens: the workspace and client, the person's language and address, and the request's writes. */
export interface Scene {
  services: Services
  workspace: Workspace
  client: Pick<Client, 'id' | 'metadata'> | undefined
  lang: string
  ip: string
  work: Work
}

/** The connections that a client's people may come through, in order. */
export const openConnections = ({ workspace, client }: Pick<Scene, 'workspace' | 'client'>): Connection[] => {
  const wanted = client?.metadata.connections
  return workspace.connections.filter(
    ({ id, enabled, pool }) => enabled && pool.status === 'active' && (!wanted || wanted.includes(id)),
  )
}
