import assert from 'node:assert/strict'
import * as scripts from '../directory/scripts.ts'
import type { TestLido } from '../testing.ts'
import { makeClient, makePool, makeUser, makeWorkspace, password, type Visit, visitAs } from './fixtures-testing.ts'

const by = { kind: 'system' } as const

/** A script of a workspace, for what comes after authentication unless told. */
export const makeScript = (
  { services: { db, clock } }: TestLido,
  workspaceId: string,
  code: string,
  more: Partial<Parameters<typeof scripts.create>[3]> = {},
) =>
  db
    .transaction()
    .execute((trx) => scripts.create(trx, clock.now(), workspaceId, { name: 'A script', code, ...more }, by))

let made = 0

interface Wanted {
  code?: string
  script?: Partial<Parameters<typeof scripts.create>[3]>
  application?: { url: string; public_key: Record<string, unknown>; timeout_seconds?: number }
  pool?: Parameters<typeof makePool>[2]
  client?: Parameters<typeof makeClient>[2]
}

/** A workspace of its own with one pool, Ada in it, a client, and what stands behind authentication there. */
export const makePlace = async (lido: TestLido, { code, script, application, pool: settings, client }: Wanted) => {
  made += 1
  const slug = `place-${made}`
  const pool = await makePool(lido, slug, settings)
  const workspace = await makeWorkspace(lido, slug, [{ pool }])
  await makeClient(lido, workspace.id, client)
  const user = await makeUser(lido, pool, 'ada@example.org', { profile: { given_name: 'Ada' } })
  const kept = code === undefined ? undefined : await makeScript(lido, workspace.id, code, script)
  await lido.services.db
    .updateTable('connections')
    .set({
      postAuthenticationScript: kept?.id ?? null,
      postAuthenticationApplication: application ? JSON.stringify({ timeout_seconds: 600, ...application }) : null,
    })
    .where('workspaceId', '=', workspace.id)
    .execute()
  return { slug, workspace, pool, user, script: kept }
}

/** A browser that typed Ada's password: whatever comes next. */
export const signInAda = async (lido: TestLido, workspace: string): Promise<Visit> => {
  const browser = await visitAs(lido, workspace, 'ada@example.org')
  await browser.submit({ password })
  return browser
}

/** The claims of a JWT, unchecked. */
export const claimsOf = (token: string | undefined): Record<string, unknown> => {
  const [, body = ''] = (token ?? '').split('.')
  assert.ok(body, 'there is a token')
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
}
