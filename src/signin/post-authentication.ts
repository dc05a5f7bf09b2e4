import { z } from 'zod'
import * as audit from '../directory/audit.ts'
import * as groups from '../directory/groups.ts'
import * as roles from '../directory/roles.ts'
import type { User } from '../directory/users.ts'
import type { Connection, ConnectionScript } from '../directory/workspaces.ts'
import type { Outcome } from '../platform/sandbox.ts'
import { equal, type Keyring, randomToken } from '../platform/secrets.ts'
import type { Attempt, Proof } from './attempt.ts'
import type { Scene } from './scene.ts'
import { checkBy, type PostAuthenticationInput, postAuthenticationOutput } from './script-points.ts'
import { runScript } from './scripts.ts'

/** What the operator's script made of a sign-in. */
export type Decision = NonNullable<Attempt['script']>

interface At {
  scene: Scene
  connection: Connection
  script: ConnectionScript
  user: User
  proofs: readonly Proof[]
  /** What the decision belongs to: nothing of it opens elsewhere. */
  boundTo: string
  door?: PostAuthenticationInput['request']['grant_type']
}

/**
 * Runs a connection's script for somebody who has proven enough. `busy` where the sandbox had no turn for a script whose
 * failure refuses people: that says nothing of them, and may be tried again.
 */
export const decide = async (at: At): Promise<Decision | 'busy'> => {
  const { scene, script, connection } = at
  const outcome = await runScript(scene.services, script, await inputFor(at), {
    trace: scene.work.trace ?? null,
    userId: at.user.id,
    clientId: scene.client?.id ?? null,
  })
  const read = outcome.ok ? checkBy(postAuthenticationOutput, outcome.output ?? {}) : undefined
  if (!outcome.ok && outcome.why === 'busy' && script.onFailure === 'deny') return 'busy'
  const wanted = read?.ok ? read.output : undefined
  if (!wanted) return failed(at, outcome.ok ? 'bad_output' : outcome.why)
  if (wanted.redirect && !connection.postAuthentication.application) return failed(at, 'no_application')
  if (wanted.deny) {
    refuse(at)
    return { is: 'denied', reason: wanted.deny.reason }
  }
  return {
    is: 'passed',
    second: wanted.require_second_factor === true,
    redirect: wanted.redirect === true,
    claims: sealClaims(scene.services.keyring, wanted.claims ?? {}, at.boundTo),
  }
}

const failed = (at: At, why: Exclude<Outcome, { ok: true }>['why'] | 'no_application'): Decision => {
  const { scene, script } = at
  const data = { script: script.id, name: script.name, why, on_failure: script.onFailure }
  scene.work.events.push(audit.event(scene.services.clock.now(), aboutOf(at), { type: 'script.failed', data }))
  if (script.onFailure === 'continue') return { is: 'passed', second: false, redirect: false }
  refuse(at)
  return { is: 'denied' }
}

const refuse = (at: At): void => {
  const refused = { type: 'sign_in.refused', data: { why: 'script' } } as const
  at.scene.work.events.push(audit.event(at.scene.services.clock.now(), aboutOf(at), refused))
}

const aboutOf = ({ scene, user }: Pick<At, 'scene' | 'user'>) => ({
  workspaceId: scene.workspace.id,
  poolId: user.poolId,
  userId: user.id,
  clientId: scene.client?.id,
})

/** How many scopes a script is told of. */
const mostScopes = 100

const inputFor = async (at: At): Promise<PostAuthenticationInput> => {
  const { scene, connection, user, proofs, door = 'authorization_code' } = at
  const { db } = scene.services
  const [paths, standing] = await Promise.all([
    groups.pathsOf(db, user.poolId, user.id),
    roles.standingOf(db, user.poolId, user.id),
  ])
  return {
    user: {
      id: user.id,
      status: user.status,
      identifiers: user.identifiers.map(({ kind, value, verified }) => ({ kind, value, verified })),
      profile: user.profile,
      metadata: user.metadata,
      groups: paths,
      roles: standing.roles,
      tenant_id: standing.tenantId ?? null,
    },
    client: { id: scene.client?.id ?? '', name: scene.client?.metadata.client_name ?? '' },
    workspace: { slug: scene.workspace.slug },
    pool: { slug: connection.pool.slug },
    connection: { id: connection.id, name: connection.name },
    request: {
      grant_type: door,
      // Whoever comes could make the script fail by asking for more than it has room for.
      scopes: (scene.asked?.scopes ?? []).slice(0, mostScopes),
      acr_values: [...new Set(scene.acr?.values)],
      ip: scene.ip,
      user_agent: (scene.agent ?? '').slice(0, 300),
      locale: scene.lang,
      resource: scene.asked?.resource ?? [],
    },
    proofs: proofs.map(({ method, amr, at: when }) => ({ method, amr, at: new Date(when).toISOString() })),
  }
}

/** Claims until the sign-in is done: they may tell of a person, so they are kept sealed, for one attempt. */
const sealClaims = (keyring: Keyring, claims: Record<string, unknown>, boundTo: string): string =>
  keyring.seal(JSON.stringify(claims), `added claims ${boundTo}`)

const openClaims = (keyring: Keyring, sealed: string | undefined, boundTo: string): Record<string, unknown> =>
  sealed === undefined
    ? {}
    : z.record(z.string(), z.unknown()).parse(JSON.parse(keyring.open(sealed, `added claims ${boundTo}`)))

/** What script and application together want told of a sign-in; the application has the last word. */
export const claimsIn = (keyring: Keyring, { id, script, application }: Attempt): Record<string, unknown> => ({
  ...openClaims(keyring, script?.is === 'passed' ? script.claims : undefined, id),
  ...openClaims(keyring, application?.is === 'passed' ? application.claims : undefined, id),
})

/** The attempt as it sends a person to the application: under the same id until that is answered or its time is over. */
export const departing = (attempt: Attempt, now: Date, seconds: number): Attempt => {
  const { application } = attempt
  if (application?.is === 'open' && application.until > now.getTime()) return attempt
  return { ...attempt, application: { is: 'open', jti: randomToken(), until: now.getTime() + seconds * 1000 } }
}

/** What an application says became of a person. */
export interface Verdict {
  jti: string
  verdict: 'continue' | 'deny' | 'cancel'
  reason?: string | undefined
  claims: Record<string, unknown>
}

/** Applies a verdict whose signature was checked; undefined where it is not the one that this attempt waits for. */
export const returned = (scene: Scene, user: User, attempt: Attempt, verdict: Verdict): Attempt | undefined => {
  const { application } = attempt
  const now = scene.services.clock.now()
  if (application?.is !== 'open' || !equal(application.jti, verdict.jti) || application.until <= now.getTime())
    return undefined
  if (verdict.verdict !== 'continue') {
    const refused = { type: 'sign_in.refused', data: { why: `application_${verdict.verdict}` } } as const
    scene.work.events.push(audit.event(now, aboutOf({ scene, user }), refused))
    const denied = { is: 'denied', cancelled: verdict.verdict === 'cancel', reason: verdict.reason } as const
    return { ...attempt, application: denied }
  }
  return {
    ...attempt,
    application: { is: 'passed', claims: sealClaims(scene.services.keyring, verdict.claims, attempt.id) },
  }
}
