import { type Actor, may } from '../access.ts'

/** The sections of the console that an operator may look at; the one that a page belongs to is marked. */
export const menuOf = (actor: Actor, path: string): { title: string; href: string; here: boolean }[] =>
  entries
    .filter(({ scope }) => may(actor, scope))
    .map(({ title, at }) => {
      const href = `/console${at}`
      return { title, href, here: at === '' ? path === href : path === href || path.startsWith(`${href}/`) }
    })

const entries = [
  { title: 'Dashboard', at: '', scope: 'stats:read' },
  { title: 'Workspaces', at: '/workspaces', scope: 'workspaces:read' },
  { title: 'Pools', at: '/pools', scope: 'pools:read' },
  { title: 'Tenants', at: '/tenants', scope: 'tenants:read' },
  { title: 'Roles', at: '/roles', scope: 'roles:read' },
  { title: 'Events', at: '/events', scope: 'events:read' },
  { title: 'Sign-in X-ray', at: '/traces', scope: 'events:read' },
  { title: 'Operators', at: '/operators', scope: 'operators:read' },
] as const
