import type { Route } from '../route.ts'
import { clientRoutes } from './clients.ts'
import { connectionRoutes } from './connections.ts'
import { eventRoutes } from './events.ts'
import { exportRoutes } from './exports.ts'
import { groupRoutes } from './groups.ts'
import { importRoutes } from './imports.ts'
import { invitationRoutes } from './invitations.ts'
import { keyRoutes } from './keys.ts'
import { messageRoutes } from './messages.ts'
import { operatorRoutes } from './operators.ts'
import { poolRoutes } from './pools.ts'
import { roleRoutes } from './roles.ts'
import { statsRoutes } from './stats.ts'
import { tenantRoutes } from './tenants.ts'
import { traceRoutes } from './traces.ts'
import { userListRoutes } from './user-list.ts'
import { userSecurityRoutes } from './user-security.ts'
import { userRoutes } from './users.ts'
import { workspaceRoutes } from './workspaces.ts'

/** Every route of the admin API. A new resource is a file in this folder and a line here. */
export const resources: readonly Route[] = [
  ...groupRoutes,
  ...operatorRoutes,
  ...poolRoutes,
  ...statsRoutes,
  ...eventRoutes,
  ...traceRoutes,
  ...keyRoutes,
  ...connectionRoutes,
  ...clientRoutes,
  ...workspaceRoutes,
  ...messageRoutes,
  ...userListRoutes,
  ...userRoutes,
  ...userSecurityRoutes,
  ...invitationRoutes,
  ...importRoutes,
  ...exportRoutes,
  ...tenantRoutes,
  ...roleRoutes,
]
