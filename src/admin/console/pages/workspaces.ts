import { allows, type ConsolePage, call, type Visit } from '../page.ts'
import { pagesOf, type Section, type Tab } from '../section.ts'
import { workspacePreviews, workspaceSamples } from './preview.ts'
import { workspaceFacts, workspaceWording } from './workspace-words.ts'

const workspaces: Section = {
  path: '/workspaces',
  param: 'workspace',
  one: 'workspace',
  many: 'Workspaces',
  about: 'A workspace is an issuer: its clients, its signing keys, its looks, and the pools connected to it.',
  routes: {
    list: 'listWorkspaces',
    get: 'getWorkspace',
    create: 'createWorkspace',
    update: 'updateWorkspace',
    remove: 'deleteWorkspace',
  },
  id: ({ slug }) => String(slug),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Slug', text: ({ slug }) => String(slug), as: 'code' },
    { title: 'Issuer', text: ({ issuer }) => String(issuer), as: 'code' },
    { title: 'Status', text: ({ status }) => String(status), as: 'badge' },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  wording: () => workspaceWording,
  facts: workspaceFacts,
  tabs: (visit) => workspaceTabs(visit),
  preview: workspaceSamples,
  // Operators sign in there.
  removable: ({ slug }) => slug !== 'admin',
  loss: ({ name }) =>
    `Every client, key and connection of ${name} goes with it, and nobody can sign in there any more. Its pools and users stay.`,
}

/** The address of the page of the workspace that a visit is in. */
export const workspaceHref = ({ params }: Visit): string =>
  `/console/workspaces/${encodeURIComponent(params.workspace ?? '')}`

const parts = [
  { title: 'Clients', at: 'clients', route: 'listClients' },
  { title: 'Registration', at: 'registration-tokens', route: 'listRegistrationTokens' },
  { title: 'Connections', at: 'connections', route: 'listConnections' },
  { title: 'Resources', at: 'resources', route: 'listResources' },
  { title: 'Keys', at: 'keys', route: 'listKeys' },
  { title: 'Domains', at: 'domains', route: 'listDomains' },
  { title: 'Messages', at: 'messages', route: 'listMessages' },
  { title: 'Scripts', at: 'scripts', route: 'listScripts' },
  { title: 'Webhooks', at: 'webhooks', route: 'listWebhooks' },
] as const

/** The ways from one part of a workspace to the others. */
export const workspaceTabs = (visit: Visit): Tab[] => {
  if (!visit.params.workspace) return []
  const base = workspaceHref(visit)
  const within = (at: string) => visit.path === `${base}/${at}` || visit.path.startsWith(`${base}/${at}/`)
  const shown = parts.filter(({ route }) => allows(visit, route))
  return [
    { title: 'Overview', href: base, here: !shown.some(({ at }) => within(at)) },
    ...shown.map(({ title, at }) => ({ title, href: `${base}/${at}`, here: within(at) })),
  ]
}

/** The pages above what belongs to a workspace. */
export const aboveWorkspace = async (visit: Visit): Promise<{ title: string; href: string }[]> => {
  const params = { workspace: visit.params.workspace ?? '' }
  const named = allows(visit, 'getWorkspace') ? (await call(visit, 'getWorkspace', { params })).body.name : undefined
  return [
    { title: 'Workspaces', href: '/console/workspaces' },
    { title: String(named ?? params.workspace), href: workspaceHref(visit) },
  ]
}

export const workspacePages: ConsolePage[] = [...pagesOf(workspaces), ...workspacePreviews]
