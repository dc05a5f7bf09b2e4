import type { z } from 'zod'
import { type Browser, openBrowser } from '../browser-testing.ts'
import { poolUpstream } from '../directory/pool-upstream.ts'
import * as pools from '../directory/pools.ts'
import type { TestLido } from '../testing.ts'
import { testLido } from '../testing.ts'
import { makeClient, makePool, makeUser, makeWorkspace, password, visit } from './fixtures-testing.ts'

type PoolSettings = NonNullable<Parameters<typeof pools.create>[2]['settings']>
type Upstream = Partial<z.input<typeof poolUpstream>>

/** The program with leave to reach itself, as the upstream of one of its own pools. */
export const federatedLido = (options: Parameters<typeof testLido>[1] = {}): Promise<TestLido> =>
  testLido({ EGRESS_ALLOW: '127.0.0.1' }, options)

/** A federated pool whose upstream is another workspace of the same program, under a client of the name of the pool. */
export const makeFederated = (
  { url, services: { db, clock } }: TestLido,
  slug: string,
  { upstream = 'upstream', settings = {}, ...more }: { upstream?: string; settings?: PoolSettings } & Upstream = {},
) =>
  pools.create(db, clock.now(), {
    slug,
    name: `Pool ${slug}`,
    kind: 'federated',
    settings,
    upstream: poolUpstream.parse({
      type: 'oidc',
      settings: {
        issuer: `${url}/w/${upstream}`,
        client_id: slug,
        authentication: 'none',
        scopes: ['openid', 'profile', 'email'],
      },
      ...more,
    }),
  })

/** The client of an upstream's workspace that a connection comes with. */
export const makeUpstreamClient = (lido: TestLido, workspaceId: string, id: string, connection: string) =>
  makeClient(lido, workspaceId, { id, redirect_uris: [`${lido.url}/callback/${connection}`] })

export interface World {
  lido: TestLido
  /** The pool of the upstream's people, and the federated pool of those who come from there. */
  there: pools.Pool
  here: pools.Pool
  connection: string
  workspaceId: string
}

/** A workspace `app` with one federated pool, whose people are Ada and Grace of the workspace `upstream`. */
export const makeWorld = async (
  lido: TestLido,
  { name = '', ...more }: Parameters<typeof makeFederated>[2] & { name?: string } = {},
): Promise<World> => {
  const there = await makePool(lido, `there${name}`, { sign_in_methods: ['password'] })
  const upstream = await makeWorkspace(lido, `upstream${name}`, [{ pool: there }])
  const here = await makeFederated(lido, `here${name}`, { upstream: `upstream${name}`, ...more })
  const { id, connections } = await makeWorkspace(lido, `app${name}`, [{ pool: here }])
  await makeClient(lido, id)
  const connection = connections[here.slug] ?? ''
  await makeUpstreamClient(lido, upstream.id, here.slug, connection)
  for (const who of ['ada', 'grace'])
    await makeUser(lido, there, `${who}@example.org`, { profile: { given_name: who } })
  return { lido, there, here, connection, workspaceId: id }
}

/** Signs in at the upstream's own pages, where the browser is; whatever comes of it, the browser is back here. */
export const proveThere = async (browser: Browser, who = 'ada@example.org', secret = password): Promise<void> => {
  await browser.submit({ identifier: who })
  await browser.submit({ password: secret })
}

/** Goes through a whole sign-in of a workspace by way of its upstream. */
export const comeFrom = async (lido: TestLido, workspace: string, who?: string, browser = openBrowser(lido.url)) => {
  const visiting = await visit(lido, workspace, { browser })
  await proveThere(visiting, who)
  return visiting
}
