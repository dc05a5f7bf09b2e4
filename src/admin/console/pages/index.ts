import type { ConsolePage } from '../page.ts'
import { clientPages } from './clients.ts'
import { connectionPages } from './connections.ts'
import { dashboardPages } from './dashboard.ts'
import { domainPages } from './domains.ts'
import { eventPages } from './events.ts'
import { exportPages } from './exports.ts'
import { groupPages } from './groups.ts'
import { importPages } from './imports.ts'
import { newInvitationPages } from './invitation-new.ts'
import { invitationPages } from './invitations.ts'
import { keyPages } from './keys.ts'
import { memberPages } from './members.ts'
import { messagePages } from './messages.ts'
import { migrationPages } from './migration.ts'
import { operatorPages } from './operators.ts'
import { outsidePages } from './outside.ts'
import { poolPages } from './pools.ts'
import { registrationTokenPages } from './registration-tokens.ts'
import { resourcePages } from './resources.ts'
import { rolePages } from './roles.ts'
import { scriptPages } from './scripts.ts'
import { tenantPages } from './tenants.ts'
import { tracePages } from './traces.ts'
import { userPages } from './user.ts'
import { userChangePages } from './user-changes.ts'
import { usersPages } from './users.ts'
import { webhookPages } from './webhooks.ts'
import { workspacePages } from './workspaces.ts'

/** Every page of the console. A new section is a file in this folder and a line here. */
export const pages: readonly ConsolePage[] = [
  ...tracePages,
  ...eventPages,
  ...tenantPages,
  ...rolePages,
  ...operatorPages,
  ...dashboardPages,
  ...workspacePages,
  ...clientPages,
  ...registrationTokenPages,
  ...connectionPages,
  ...keyPages,
  ...domainPages,
  ...messagePages,
  ...scriptPages,
  ...resourcePages,
  ...webhookPages,
  ...poolPages,
  ...outsidePages,
  ...migrationPages,
  ...usersPages,
  ...userPages,
  ...userChangePages,
  ...groupPages,
  ...invitationPages,
  ...newInvitationPages,
  ...memberPages,
  ...importPages,
  ...exportPages,
]
