import { errors, importJWK, type JWTPayload, jwtVerify } from 'jose'
import { z } from 'zod'
import { issuerOf } from '../directory/address.ts'
import { algorithmOf, type PostAuthenticationApplication } from '../directory/post-authentication.ts'
import { Problem } from '../platform/problem.ts'
import type { Attempt } from '../signin/attempt.ts'
import { connectionOf } from '../signin/policy.ts'
import { decide, departing, returned, type Verdict } from '../signin/post-authentication.ts'
import { addedClaims } from '../signin/script-points.ts'
import type { Stage } from '../signin/stage.ts'
import { addressOf, type Visit } from './visit.ts'

/** How long a token for the application is valid, in seconds. */
const tokenSeconds = 300

/** Runs the connection's script. `busy` where it may be tried again. */
export const runDue = async (
  { scene, attempt, found: user }: Stage,
  door: 'authorization_code' | 'password' = 'authorization_code',
): Promise<Attempt | 'busy'> => {
  const connection = connectionOf(scene, attempt)
  const script = connection?.postAuthentication.script
  if (!connection || !script || !user) throw new Problem('expired')
  const decided = await decide({ scene, connection, script, user, proofs: attempt.proofs, boundTo: attempt.id, door })
  return decided === 'busy' ? 'busy' : { ...attempt, script: decided }
}

/** The attempt with the application's turn begun, and the address that the person is sent to. */
export const departure = async (visit: Visit, { scene, attempt, found }: Stage) => {
  const application = applicationOf(scene, attempt)
  const pool = connectionOf(scene, attempt)?.pool
  if (!application || !found || !pool) throw new Problem('expired')
  const now = scene.services.clock.now()
  const left = departing(attempt, now, application.timeout_seconds)
  const jti = left.application?.is === 'open' ? left.application.jti : ''
  const url = new URL(application.url)
  const iat = Math.floor(now.getTime() / 1000)
  const token = await visit.issuer.sign('post-authentication+jwt', {
    sub: found.id,
    aud: url.origin,
    iat,
    exp: iat + tokenSeconds,
    jti,
    pool: pool.slug,
    client_id: visit.asked.clientId,
    locale: scene.lang,
    return_to: `${scene.services.config.publicUrl}${addressOf(visit)}`,
  })
  url.searchParams.set('token', token)
  return { attempt: left, to: url.href }
}

/** Applies the verdict that an application sent a person back with. Throws `invalid_request` on any that is not its own. */
export const takeVerdict = async ({ scene, attempt, found }: Stage, token: string): Promise<Attempt> => {
  const application = applicationOf(scene, attempt)
  if (!application || !found) throw refusedVerdict('no application is waited for')
  const audience = issuerOf(scene.services.config, scene.workspace)
  const verdict = await readVerdict(application, token, { audience, now: scene.services.clock.now() })
  const applied = returned(scene, found, attempt, verdict)
  if (!applied) throw refusedVerdict('the verdict belongs to another sign-in, was used before, or is too late')
  return applied
}

const applicationOf = (scene: Stage['scene'], attempt: Attempt): PostAuthenticationApplication | null | undefined =>
  connectionOf(scene, attempt)?.postAuthentication.application

const payload = z.object({
  jti: z.string().min(20).max(100),
  exp: z.number(),
  verdict: z.enum(['continue', 'deny', 'cancel']),
  reason: z.string().trim().min(1).max(500).optional(),
  data: addedClaims.default({}),
})

const readVerdict = async (
  { public_key: jwk }: PostAuthenticationApplication,
  token: string,
  { audience, now }: { audience: string; now: Date },
): Promise<Verdict> => {
  const alg = algorithmOf(jwk) ?? 'RS256'
  // The parts that a key says of itself are not asked: its kind alone decides what it signs by.
  const { use: _u, key_ops: _k, alg: _a, ...bare } = jwk
  const key = await importJWK(bare, alg)
  const checked = await jwtVerify(token, key, {
    algorithms: [alg],
    audience,
    currentDate: now,
    clockTolerance: 5,
    maxTokenAge: 600,
  }).catch(refuse)
  if (checked.protectedHeader.typ !== undefined && !/jwt$/i.test(checked.protectedHeader.typ))
    throw refusedVerdict('the verdict is another kind of token')
  const read = payload.safeParse(checked.payload satisfies JWTPayload)
  if (!read.success) {
    const [issue] = read.error.issues
    throw refusedVerdict(`the verdict does not fit: ${issue?.path.join('.')} ${issue?.message}`)
  }
  const { jti, verdict, reason, data } = read.data
  return { jti, verdict, reason, claims: data }
}

const refuse = (error: unknown): never => {
  if (error instanceof errors.JOSEError || error instanceof TypeError)
    throw refusedVerdict('its signature, audience or times do not hold', error)
  throw error
}

const refusedVerdict = (why: string, cause?: unknown): Problem =>
  new Problem('invalid_request', { detail: `The application's answer was not taken: ${why}.`, cause })
