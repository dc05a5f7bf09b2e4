import { z } from 'zod'
import { Problem } from '../../platform/problem.ts'
import { enrolmentOf, keepCredential, wrongWordOf } from '../../signin/enrol.ts'
import type { Word } from '../../signin/form.ts'
import { getMethod } from '../../signin/methods/index.ts'
import { heldOf } from '../../signin/methods/method.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { showCodes } from './codes.ts'
import { type AccountPage, type AccountVisit, type Answer, boundTo, draw, formOf, seeOther } from './visit.ts'

/** What the pool takes that people get by enrolling. */
export const gettable = ({ pool }: Pick<AccountVisit, 'pool'>): string[] => {
  const { sign_in_methods, second_factor, second_factors } = pool.settings
  const taken = new Set<string>([...sign_in_methods, ...(second_factor === 'off' ? [] : second_factors)])
  return [...taken].filter((name) => getMethod(name).enrol !== undefined)
}

/** Adds a way to prove who one is: any method that has an enrolment. */
export const enrolPage: AccountPage = {
  path: 'factors/add/:part',
  sensitive: true,
  get: async (visit, name) => ask(visit, checked(visit, name), undefined),
  post: (visit, answer, name) => complete(visit, checked(visit, name), answer),
}

/** A method that this person can get now. Throws `not_found`. */
const checked = (visit: AccountVisit, name: string): string => {
  if (!gettable(visit).includes(name)) throw new Problem('not_found')
  if (!enrolmentOf(name).several && heldOf(visit.user, getMethod(name)).length > 0) throw new Problem('not_found')
  return name
}

const enrollingOf = (visit: AccountVisit) => ({
  scene: visit.scene,
  pool: visit.pool,
  user: visit.user,
  boundTo: boundTo(visit),
})

/** What is kept until the answer comes goes along in the form, sealed for this session, this method and ten minutes. */
const kept = z.object({ begun: z.unknown(), until: z.number() })
const lifetimeMs = 10 * 60_000

const sealFor = (visit: AccountVisit, name: string) => `enrol ${name} ${visit.user.id} ${boundTo(visit)}`

const openBegun = (visit: AccountVisit, name: string, sealed = ''): unknown => {
  try {
    const { begun, until } = kept.parse(JSON.parse(visit.desk.services.keyring.open(sealed, sealFor(visit, name))))
    return until > visit.at.getTime() ? enrolmentOf(name).begun.parse(begun) : undefined
  } catch {
    return undefined
  }
}

const ask = async (visit: AccountVisit, name: string, known: unknown, alert?: Word): Promise<void> => {
  const enrolment = enrolmentOf(name)
  const begun = known ?? (await enrolment.begin(enrollingOf(visit)))
  const { show: secret = null, passkey = null, ...drawn } = enrolment.form(enrollingOf(visit), begun, undefined)
  const until = visit.at.getTime() + lifetimeMs
  const sealed = visit.desk.services.keyring.seal(JSON.stringify({ begun, until }), sealFor(visit, name))
  const form = formOf(visit, drawn, {
    path: `factors/add/${name}`,
    hidden: [{ name: 'begun', value: sealed }],
    buttons: [{ name: 'action', value: 'cancel', label: 'button.cancel' }],
    alert,
  })
  const identifier = visit.user.identifiers[0]?.typed ?? ''
  const values = { method: name, optional: false, secret, passkey, passkeys: passkey !== null }
  draw(visit, 'signin/enrol', { ...values, identifier, notYou: null, form })
}

const complete = async (visit: AccountVisit, name: string, { begun: sealed, ...answer }: Answer): Promise<void> => {
  if (answer.action === 'cancel') return seeOther(visit, 'factors')
  const { desk, user, pool, scene } = visit
  const begun = openBegun(visit, name, sealed)
  if (begun === undefined) return ask(visit, name, undefined, { key: 'alert.answers' })
  const outcome = await enrolmentOf(name).complete(enrollingOf(visit), answer, begun)
  if (!outcome.ok) {
    const alert = { key: outcome.why === 'wrong' ? wrongWordOf(name) : 'alert.answers' }
    return ask(visit, name, outcome.why === 'wrong' ? begun : undefined, alert)
  }
  const stored = await changeOwn(desk.services, user, (trx) =>
    keepCredential(trx, scene, pool, user, outcome.credential),
  )
  if (stored?.codes) return showCodes(visit, stored.codes)
  seeOther(visit, 'factors', 'added')
}
