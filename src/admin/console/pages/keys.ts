import type { Json } from '../../openapi.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { demanding } from '../section.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

const states: Record<string, string> = {
  coming: 'Published, and signs soon',
  signing: 'Signs now',
  published: 'Signs no more; published for what it signed',
  withdrawn: 'Gone',
}

const list = async (visit: Visit): Promise<Outcome> => {
  const { body } = await call(visit, 'listKeys', { query: { limit: 200 } })
  const keys = (body.items as Json[]).filter(({ state }) => state !== 'withdrawn')
  const algorithms = [...new Set(keys.map(({ alg }) => String(alg)))].sort()
  const crumbs = await aboveWorkspace(visit)
  const values = {
    tabs: workspaceTabs(visit),
    columns: ['Key', 'Algorithm', 'State', 'Signs from', 'Signs until', 'Published until'],
    rows: keys.map((key) => ({
      href: null,
      name: String(key.kid),
      cells: [
        { text: String(key.kid), as: 'code' },
        { text: String(key.alg), as: 'text' },
        { text: states[String(key.state)] ?? String(key.state), as: 'text' },
        ...[key.signs_from, key.signs_until, key.published_until].map((at) => ({ text: at ?? '', as: 'time' })),
      ],
    })),
    rotations: allows(visit, 'rotateKeys') ? algorithms.map((alg) => rotationOf(visit, keys, alg)) : [],
    revocations: allows(visit, 'revokeKey') ? keys.map((key) => revocationOf(visit, key)) : [],
  }
  return { show: { view: 'console/keys', title: 'Keys', crumbs, values } }
}

/** Where an algorithm is changed over, unless new keys of it are on their way already. */
const rotationOf = (visit: Visit, keys: Json[], alg: string) => {
  const coming = keys.some((key) => key.alg === alg && key.state === 'coming')
  return { alg, href: coming ? null : `${workspaceHref(visit)}/keys/~rotate?alg=${alg}` }
}

const revocationOf = (visit: Visit, { kid, alg }: Json) => ({
  name: `${alg} ${kid}`,
  href: `${workspaceHref(visit)}/keys/${encodeURIComponent(String(kid))}/~revoke`,
})

const ask = async (visit: Visit, alg: string, alert: string | null = null): Promise<Outcome> => {
  const crumbs = [...(await aboveWorkspace(visit)), { title: 'Keys', href: `${workspaceHref(visit)}/keys` }]
  const title = alg ? `Rotate the ${alg} key` : 'Rotate every key'
  return { show: { view: 'console/rotate', title, crumbs, status: alert ? 409 : 200, values: { alg, alert } } }
}

const rotate = async (visit: Visit): Promise<Outcome> => {
  const { alg = '' } = visit.form
  const told = await call(visit, 'rotateKeys', { query: alg ? { alg } : {} }).catch((error) => faultsFor(error).alert)
  if (typeof told === 'string') return ask(visit, alg, told)
  return { to: `${workspaceHref(visit)}/keys`, notice: 'New keys are published; they sign in 15 minutes.' }
}

const askRevoke = async (visit: Visit, alert: string | null = null): Promise<Outcome> => {
  const crumbs = [...(await aboveWorkspace(visit)), { title: 'Keys', href: `${workspaceHref(visit)}/keys` }]
  const values = { kid: visit.params.kid ?? '', alert }
  return { show: { view: 'console/revoke-key', title: 'Revoke a key', crumbs, status: alert ? 409 : 200, values } }
}

const revoke = async (visit: Visit): Promise<Outcome> => {
  const told = await call(visit, 'revokeKey', {}).catch((error) => faultsFor(error).alert)
  if (typeof told === 'string') return askRevoke(visit, told)
  return { to: `${workspaceHref(visit)}/keys`, notice: 'The key is withdrawn, and what it signed is refused.' }
}

export const keyPages: ConsolePage[] = [
  { method: 'GET', path: '/workspaces/{workspace}/keys', handle: list },
  {
    method: 'GET',
    path: '/workspaces/{workspace}/keys/~rotate',
    danger: true,
    handle: (visit) => ask(demanding(visit, 'rotateKeys'), visit.query.alg ?? ''),
  },
  { method: 'POST', path: '/workspaces/{workspace}/keys/~rotate', danger: true, handle: rotate },
  {
    method: 'GET',
    path: '/workspaces/{workspace}/keys/{kid}/~revoke',
    danger: true,
    handle: (visit) => askRevoke(demanding(visit, 'revokeKey')),
  },
  { method: 'POST', path: '/workspaces/{workspace}/keys/{kid}/~revoke', danger: true, handle: revoke },
]
