import { currentWork, emptyWork } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import * as users from '../directory/users.ts'
import type { Connection } from '../directory/workspaces.ts'
import { type PasswordAnswer, type PasswordRequest, passwordGrant } from '../oidc/grants/password.ts'
import { sealSaid } from '../oidc/said.ts'
import type { Services } from '../services.ts'
import { arrived, assess, riskIn } from '../signin/assess.ts'
import { type Attempt, beginAttempt } from '../signin/attempt.ts'
import { password } from '../signin/methods/password.ts'
import { connectionOf, homeRealmOf, policyOf } from '../signin/policy.ts'
import { openPool } from '../signin/pools/index.ts'
import { claimsIn } from '../signin/post-authentication.ts'
import { forgiveFailures, proofOf, tryMethod } from '../signin/prove.ts'
import { openConnections, type Scene } from '../signin/scene.ts'
import type { Stage } from '../signin/stage.ts'
import { nextStep } from '../signin/step.ts'
import { runDue } from './post-authentication.ts'

/** The password grant on the page's own check: the same method, counters, events and words. */
export const passwordGrantOf = (services: Services) => passwordGrant(services, (request) => check(services, request))

const check = async (services: Services, request: PasswordRequest): Promise<PasswordAnswer> => {
  const { workspace, client, username, ip } = request
  const work = currentWork() ?? emptyWork(services.clock.now())
  const acr = { values: client.metadata.acr_values_default, essential: false }
  const asked = { scopes: request.scopes, resource: [] }
  const scene: Scene = { services, workspace, client, lang: workspace.settings.default_language, ip, work, acr, asked }
  const pool = connectionFor(scene, request)?.pool
  const identifier =
    pool?.settings.sign_in_methods.includes('password') &&
    readIdentifier(username, pool.settings.identifiers, pool.settings.default_country)
  if (!pool || !identifier) {
    await services.passwords.verify(undefined, request.password)
    return { ok: false, why: 'invalid' }
  }
  const home = openPool(pool, services)
  const subject = await home.identify(identifier, await users.findByIdentifier(services.db, pool.id, identifier))
  const begun = beginAttempt({ workspaceId: workspace.id, id: 'password-grant', expiresAt: services.clock.now() })
  const attempt = { ...begun, pool: pool.id, identifier }
  const at = { scene, attempt, pool, home, subject }
  const door = { grantType: 'password' }
  const verdict = await tryMethod(at, password, { password: request.password }, {}, door)
  if (!verdict.ok)
    return { ok: false, why: verdict.why === 'too-many' || verdict.why === 'unavailable' ? verdict.why : 'invalid' }
  const { known: person } = verdict
  const about = { workspaceId: workspace.id, poolId: pool.id, userId: person.user.id, clientId: client.id }
  // A password that must change opens nothing but the page where it is changed.
  if (verdict.evidence.mustChange) {
    const refused = { type: 'sign_in.refused', data: { why: 'must_change_password' } } as const
    work.events.push(audit.event(services.clock.now(), about, refused))
    return { ok: false, why: 'invalid' }
  }
  const now = services.clock.now()
  const known = { ...attempt, proofs: [proofOf(password, person.user, now)] }
  const evident = { failures: verdict.failures, password: request.password }
  const { attempt: judged, refused } = await assess({ ...at, subject: person, attempt: known }, evident)
  if (refused) return { ok: false, why: 'invalid' }
  const proven = await decided({ scene, attempt: judged, found: person.user })
  if (proven === 'busy') return { ok: false, why: 'unavailable' }
  const step = nextStep(proven, policyOf(scene, proven, person.user))
  // What the script decided was written down as it did.
  if (step.do === 'denied') return { ok: false, why: 'denied' }
  if (step.do !== 'finish') {
    const why = step.do === 'application' ? 'interaction_required' : 'mfa_required'
    work.events.push(audit.event(now, about, { type: 'sign_in.refused', data: { why } }))
    return { ok: false, why: step.do === 'application' ? 'interaction' : 'second-factor' }
  }
  const user = await home.admit(person, verdict.evidence)
  forgiveFailures({ ...at, subject: person })
  await arrived({ scene, attempt: proven }, pool, user)
  const data = { methods: [password.name], grant_type: 'password', ...riskIn(proven) }
  work.events.push(audit.event(now, about, { type: 'sign_in.succeeded', data }))
  work.signedIn.push({ poolId: pool.id, userId: user.id, at: now })
  services.metrics.signIn('succeeded', password.name)
  return { ok: true, user, amr: [password.amr], said: saidOf(scene, proven, user.id) }
}

/** The attempt once the operator's script has run, where it has to. */
const decided = async (stage: Stage): Promise<Attempt | 'busy'> => {
  const { scene, attempt, found } = stage
  return nextStep(attempt, policyOf(scene, attempt, found)).do === 'script' ? runDue(stage, 'password') : attempt
}

const saidOf = ({ services: { keyring, clock } }: Scene, attempt: Attempt, userId: string) => {
  if (attempt.script?.is !== 'passed') return undefined
  const claims = claimsIn(keyring, attempt)
  return { claims, sealed: sealSaid(keyring, userId, claims, clock.now()) }
}

/** The pool is named, told by the address's domain, or the client's only one. */
const connectionFor = (scene: Scene, { pool, username }: PasswordRequest): Connection | undefined => {
  const open = openConnections(scene)
  if (pool) return open.find((one) => one.pool.id === pool || one.pool.slug === pool)
  const email = readIdentifier(username, ['email'])
  return (email && homeRealmOf(scene, email)) ?? connectionOf(scene, {})
}
