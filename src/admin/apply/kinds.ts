import { clientKind } from './clients.ts'
import { connectionKind } from './connections.ts'
import { domainKind } from './domains.ts'
import { groupKind } from './groups.ts'
import { messageKind } from './messages.ts'
import { poolKind } from './pools.ts'
import { resourceKind } from './resources.ts'
import { roleKind } from './roles.ts'
import { scriptKind } from './scripts.ts'
import { type Stage, stage } from './stage.ts'
import { tenantKind } from './tenants.ts'
import { webhookKind } from './webhooks.ts'
import { workspaceKind } from './workspaces.ts'

const workspaces = stage(workspaceKind)
const scripts = stage(scriptKind)

/** What a file may hold, in the order of plans and exports. */
export const kinds: readonly Stage[] = [
  stage(poolKind),
  stage(tenantKind),
  stage(roleKind),
  stage(groupKind),
  workspaces,
  scripts,
  stage(connectionKind),
  stage(domainKind),
  stage(resourceKind),
  stage(clientKind),
  stage(messageKind),
  stage(webhookKind),
]

const first = [workspaces, scripts]

/** Each kind after those that it names: a pool's mapping may name a script of a workspace. */
export const inApplying: readonly Stage[] = [...first, ...kinds.filter((kind) => !first.includes(kind))]

/** Each kind before those that stand in its way: a pool stays while a workspace has it, a script while a pool names it. */
export const inPruning: readonly Stage[] = [...kinds.filter((kind) => kind !== scripts).toReversed(), scripts]
