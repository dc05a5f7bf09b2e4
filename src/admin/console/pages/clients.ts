import { hasSecret } from '../../../directory/client-protocol.ts'
import type { Json } from '../../openapi.ts'
import { allows, type ConsolePage, call, type Visit } from '../page.ts'
import { pagesOf, type Section } from '../section.ts'
import { clientFacts, clientWording } from './client-words.ts'
import { type SecretHolders, secretPages, showSecret } from './secrets.ts'
import { snippetsFor } from './snippets.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

const path = '/workspaces/{workspace}/clients'
const one = `${path}/{client_id}`

const clients: Section = {
  path,
  param: 'client_id',
  one: 'client',
  many: 'Clients',
  about: 'A client is an application that people sign in to, or a machine that acts for itself.',
  routes: {
    list: 'listClients',
    get: 'getClient',
    create: 'createClient',
    update: 'updateClient',
    remove: 'deleteClient',
  },
  id: ({ client_id }) => String(client_id),
  name: ({ client_name }) => String(client_name),
  columns: [
    { title: 'Name', text: ({ client_name }) => String(client_name) },
    { title: 'Client ID', text: ({ client_id }) => String(client_id), as: 'code' },
    { title: 'Secret', text: ({ token_endpoint_auth_method: by }) => (hasSecret(String(by)) ? 'yes' : 'none') },
    { title: 'Status', text: ({ status }) => String(status), as: 'badge' },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  wording: async (visit) => clientWording(await connectionsOf(visit)),
  detail: { view: 'console/client', load: (visit, item) => detailOf(visit, item) },
  made: (visit, told) => showSecret(secrets, visit, told, 'The client was made.'),
  changed: (visit, told) => showSecret(secrets, visit, told, 'The client was changed, and has a secret now.'),
  loss: ({ client_name }) =>
    `Nobody can sign in to ${client_name} any more, its tokens are void, and its id is never used again.`,
}

const clientHref = (visit: Visit, id: unknown): string =>
  `${workspaceHref(visit)}/clients/${encodeURIComponent(String(id))}`

/** The connections of the workspace that a visit is in, as far as the operator may know of them. */
const connectionsOf = async (visit: Visit): Promise<{ value: string; label: string }[]> => {
  if (!allows(visit, 'listConnections')) return []
  const params = { workspace: visit.params.workspace ?? '' }
  const { body } = await call(visit, 'listConnections', { params, query: { limit: 200 } })
  return (body.items as Json[]).map(({ id, name }) => ({ value: String(id), label: String(name) }))
}

const detailOf = async (visit: Visit, client: Json): Promise<Json> => {
  const params = { workspace: visit.params.workspace ?? '' }
  const [connections, workspace] = await Promise.all([
    connectionsOf(visit),
    allows(visit, 'getWorkspace') ? call(visit, 'getWorkspace', { params }) : undefined,
  ])
  const here = clientHref(visit, client.client_id)
  const rotates = hasSecret(String(client.token_endpoint_auth_method)) && allows(visit, 'rotateClientSecret')
  return {
    groups: clientFacts(client, connections),
    snippets: workspace ? snippetsFor(client, String(workspace.body.issuer)) : [],
    hasSecret: hasSecret(String(client.token_endpoint_auth_method)),
    rotate: rotates ? `${here}/~rotate` : null,
    endOld: rotates && client.old_secret_valid ? `${here}/~end-old` : null,
    oldValid: client.old_secret_valid,
  }
}

const secrets: SecretHolders = {
  path: one,
  among: { title: 'Clients', segment: 'clients' },
  facts: ({ client_name, client_secret, client_id }) => ({ name: client_name, secret: client_secret, id: client_id }),
  href: (visit, body) => clientHref(visit, body?.client_id ?? visit.params.client_id),
  read: 'getClient',
  rotate: {
    route: 'rotateClientSecret',
    text: 'A new secret is made and shown once. The one in use now stays good until you end it, or rotate again: change the application over in between. A secret from before that is void at once.',
    done: 'There is a new secret. The one before stays good until you end it.',
  },
  endOld: {
    route: 'endOldClientSecret',
    text: 'Whatever still uses the secret before the newest is refused from now on.',
  },
}

export const clientPages: ConsolePage[] = [...pagesOf(clients), ...secretPages(secrets)]
