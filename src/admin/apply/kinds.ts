import { clientKind } from './clients.ts'
import { connectionKind } from './connections.ts'
import { domainKind } from './domains.ts'
import { groupKind } from './groups.ts'
import { messageKind } from './messages.ts'
import { poolKind } from './pools.ts'
import { resourceKind } from './resources.ts'
import { roleKind } from './roles.ts'
import { type Stage, stage } from './stage.ts'
import { tenantKind } from './tenants.ts'
import { webhookKind } from './webhooks.ts'
import { workspaceKind } from './workspaces.ts'

/** What a file may hold, each kind after those that it stands on. */
export const kinds: readonly Stage[] = [
  stage(poolKind),
  stage(tenantKind),
  stage(roleKind),
  stage(groupKind),
  stage(workspaceKind),
  stage(connectionKind),
  stage(domainKind),
  stage(resourceKind),
  stage(clientKind),
  stage(messageKind),
  stage(webhookKind),
]
