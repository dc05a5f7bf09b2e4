import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, type Outcome, type Told, type Visit } from '../page.ts'
import { demanding } from '../section.ts'
import { aboveWorkspace, workspaceHref } from './workspaces.ts'

/** Records of a workspace whose secret is made by the API, shown once, and changed over while the old one stays good. */
export interface SecretHolders {
  /** Where one is in the console, and the last part of where all of them are, with its title. */
  path: string
  among: { title: string; segment: string }
  /** Of one as the API answers it; `id` where whoever uses the secret needs that too. */
  facts(body: Json): { name: unknown; secret: unknown; id: unknown }
  /** Where one is, by its answer or else by the address that is visited. */
  href(visit: Visit, body?: Json): string
  /** The API's operations. */
  read: string
  rotate: { route: string; text: string; done: string }
  endOld: { route: string; text: string }
}

/** The page that shows a secret this once; undefined where there is none to show. */
export const showSecret = (holders: SecretHolders, visit: Visit, { body }: Told, done: string): Outcome | undefined => {
  const { name, secret, id } = holders.facts(body)
  if (typeof secret !== 'string') return undefined
  const { title, segment } = holders.among
  const crumbs = [{ title, href: `${workspaceHref(visit)}/${segment}` }]
  const values = { done, id, secret, next: holders.href(visit, body) }
  return { show: { view: 'console/secret', title: String(name), crumbs, values } }
}

/** The pages that rotate a secret and end the old one, each after it has asked. */
export const secretPages = (holders: SecretHolders): ConsolePage[] => {
  const { path, read, rotate, endOld, href } = holders
  const ask =
    (route: string, title: string, text: string, button: string) =>
    async (visit: Visit): Promise<Outcome> => {
      const { body } = await call(demanding(visit, route), read)
      const crumbs = [
        ...(await aboveWorkspace(visit)),
        { title: String(holders.facts(body).name), href: href(visit, body) },
      ]
      return { show: { view: 'console/ask', title, crumbs, values: { text, button } } }
    }
  const change = async (visit: Visit): Promise<Outcome> => {
    const told = await call(visit, rotate.route)
    return showSecret(holders, visit, told, rotate.done) ?? { to: href(visit) }
  }
  const end = async (visit: Visit): Promise<Outcome> => {
    await call(visit, endOld.route)
    return { to: href(visit), notice: 'The old secret was ended.' }
  }
  const askRotate = ask(rotate.route, 'Rotate the secret', rotate.text, 'Make a new secret')
  const askEnd = ask(endOld.route, 'End the old secret', endOld.text, 'End the old secret')
  return [
    { method: 'GET', path: `${path}/~rotate`, danger: true, handle: askRotate },
    { method: 'POST', path: `${path}/~rotate`, danger: true, handle: change },
    { method: 'GET', path: `${path}/~end-old`, danger: true, handle: askEnd },
    { method: 'POST', path: `${path}/~end-old`, danger: true, handle: end },
  ]
}
