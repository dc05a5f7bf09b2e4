import type { Route } from '../route.ts'
import { clientRoutes } from './clients.ts'
import { connectionRoutes } from './connections.ts'
import { domainRoutes } from './domains.ts'
import { eventRoutes } from './events.ts'
import { exportRoutes } from './exports.ts'
import { groupMemberRoutes } from './group-members.ts'
import { groupRoutes } from './groups.ts'
import { importRoutes } from './imports.ts'
import { invitationRoutes } from './invitations.ts'
import { keyRoutes } from './keys.ts'
import { mappingRoutes } from './mapping.ts'
import { messageRoutes } from './messages.ts'
import { migrationRoutes } from './migration.ts'
import { operatorRoutes } from './operators.ts'
import { poolCheckRoutes } from './pool-check.ts'
import { poolRoutes } from './pools.ts'
import { registrationTokenRoutes } from './registration-tokens.ts'
import { resourceRoutes } from './resources.ts'
import { roleRoutes } from './roles.ts'
import { scriptRunRoutes } from './script-runs.ts'
import { scriptRoutes } from './scripts.ts'
import { statsRoutes } from './stats.ts'
import { tenantRoutes } from './tenants.ts'
import { traceRoutes } from './traces.ts'
import { userEventRoutes } from './user-events.ts'
import { userListRoutes } from './user-list.ts'
import { userSecurityRoutes } from './user-security.ts'
import { userSessionRoutes } from './user-sessions.ts'
import { userRoutes } from './users.ts'
import { webhookDeliveryRoutes } from './webhook-deliveries.ts'
import { webhookRoutes } from './webhooks.ts'
import { workspaceRoutes } from './workspaces.ts'

/** Every route of the admin API. A new resource is a file in this folder and a line here. */
export const resources: readonly Route[] = [
  ...groupRoutes,
  ...groupMemberRoutes,
  ...operatorRoutes,
  ...poolRoutes,
  ...poolCheckRoutes,
  ...statsRoutes,
  ...eventRoutes,
  ...traceRoutes,
  ...keyRoutes,
  ...domainRoutes,
  ...connectionRoutes,
  ...clientRoutes,
  ...registrationTokenRoutes,
  ...workspaceRoutes,
  ...messageRoutes,
  ...scriptRoutes,
  ...scriptRunRoutes,
  ...resourceRoutes,
  ...webhookRoutes,
  ...webhookDeliveryRoutes,
  ...userListRoutes,
  ...userRoutes,
  ...userSecurityRoutes,
  ...userSessionRoutes,
  ...userEventRoutes,
  ...invitationRoutes,
  ...importRoutes,
  ...migrationRoutes,
  ...mappingRoutes,
  ...exportRoutes,
  ...tenantRoutes,
  ...roleRoutes,
]
