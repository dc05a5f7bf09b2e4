import { brandOf } from '../directory/outbox.ts'
import type { Pool } from '../directory/pools.ts'
import { askedOf } from '../directory/profiles.ts'
import { Problem } from '../platform/problem.ts'
import type { Attempt } from '../signin/attempt.ts'
import { enrollingOf, enrolmentOf } from '../signin/enrol.ts'
import {
  codeAgain,
  codeField,
  type Field,
  identifierField,
  newPasswordField,
  profileField,
  registeredField,
} from '../signin/form.ts'
import { getMethod } from '../signin/methods/index.ts'
import { usesPasskeys } from '../signin/passkey-offer.ts'
import { mustGiveWay } from '../signin/passwords.ts'
import { connectionOf, policyOf } from '../signin/policy.ts'
import { isAway } from '../signin/pools/federated.ts'
import { isTexted } from '../signin/recovery.ts'
import { openCodes } from '../signin/recovery-codes.ts'
import { provable } from '../signin/sending.ts'
import { askingOf, type Stage } from '../signin/stage.ts'
import type { Step, View } from '../signin/step.ts'
import { askForPasskey } from '../signin/usernameless.ts'
import { depart } from './away.ts'
import { rememberHere } from './began.ts'
import { drawForm, formActionOf, show } from './page.ts'
import { addressOf, asksOf, type Visit, viewOf } from './visit.ts'

type Drawer<S extends Step['do']> = (visit: Visit, stage: Stage, step: Extract<Step, { do: S }>) => Promise<void> | void

/** How each step is shown; none of them does anything else. */
export const drawers: { [S in Exclude<Step['do'], 'finish' | 'unmet' | 'script' | 'application'>]: Drawer<S> } = {
  closed: () => {
    throw new Problem('not_found', { detail: 'Nobody can sign in to this application yet.' })
  },

  choose: (visit, { attempt, scene }, { pools }) => {
    const offered = scene.workspace.connections.filter(({ pool }) => pools.includes(pool.id))
    const listed = offered.map(({ name, pool }) => ({
      id: pool.id,
      name: isAway(pool) ? visit.words.t('depart.go', { name }) : name,
      description: pool.description,
      color: pool.color,
    }))
    page(visit, attempt, 'choose', { fields: [], submit: 'button.continue' }, { pools: listed }, 'choose')
  },

  depart,

  link: (visit, { attempt, scene }) => {
    const from = scene.workspace.connections.find(({ id }) => id === attempt.arrival?.connection)
    const told = attempt.arrival?.outsider.identifiers.find(({ kind, verified }) => kind === 'email' && verified)
    const buttons = [{ name: 'action', value: 'new', label: 'button.new_account' }]
    const hidden = { name: 'action', value: 'link', label: 'button.link_account' }
    const values = { place: from?.name ?? '', address: told?.typed ?? '', buttons: [hidden, ...buttons] }
    page(visit, attempt, 'link', { fields: [], submit: '' }, values)
  },

  identify: (visit, { attempt, scene }) => {
    const policy = policyOf(scene, attempt)
    const { draft } = attempt
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const error = draft?.view === 'identify' ? draft.errors.identifier : undefined
    const passkey = askForPasskey(scene, attempt)
    const named = identifierField(policy.identifiers, typed, error)
    const fields = [passkey ? { ...named, autocomplete: 'username webauthn' } : named]
    const links = policy.registration ? { register: addressOf(visit, 'register') } : {}
    const values = { client: clientOf(visit), place: placeOf(visit, attempt), links, passkey }
    page(visit, attempt, 'identify', { fields, submit: 'button.continue' }, values, 'identify')
  },

  register: (visit, { attempt, scene }) => {
    const pool = connectionOf(scene, attempt)?.pool
    if (!pool) throw new Problem('expired')
    const draft = attempt.draft?.view === 'register' ? attempt.draft : undefined
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const secret = newPasswordField('password', pool, draft?.errors.password)
    const fields = [
      registeredField(provable(scene.services, pool), typed, draft?.errors.identifier),
      ...askedOf(pool.settings.user_schema).map((property) =>
        profileField(property, draft?.values[property.name], draft?.errors[property.name]),
      ),
      ...(pool.settings.sign_in_methods.includes('password') ? [secret] : []),
    ]
    const links = { signin: addressOf(visit, 'identify') }
    page(
      visit,
      attempt,
      'register',
      { fields, submit: 'button.create_account' },
      { client: clientOf(visit), place: placeOf(visit, attempt), links },
      'register',
    )
  },

  verify: (visit, { attempt, scene }) => {
    const length = connectionOf(scene, attempt)?.pool.settings.code_policy.length ?? 6
    const texted = attempt.registration?.identifier.kind === 'mobile'
    const correct = texted ? 'button.correct_number' : 'button.correct_address'
    const buttons = [resend, { name: 'action', value: 'correct', label: correct }]
    const values = { address: attempt.registration?.identifier.typed ?? '', texted, buttons }
    page(visit, attempt, 'verify', { fields: [codeField(length)], submit: 'button.continue' }, values)
  },

  recover: (visit, { attempt, scene }) => {
    const draft = attempt.draft?.view === 'recover' ? attempt.draft : undefined
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const fields = [identifierField(policyOf(scene, attempt).identifiers, typed, draft?.errors.identifier)]
    const links = { signin: addressOf(visit, 'identify') }
    page(visit, attempt, '../recover/identify', { fields, submit: 'method.email_code' }, { links }, 'recover')
  },

  reset: (visit, { attempt, scene }) => {
    const pool = connectionOf(scene, attempt)?.pool
    if (!pool) throw new Problem('expired')
    const weak = attempt.draft?.errors.new_password
    const fields = [
      codeField(pool.settings.code_policy.length, weak && codeAgain),
      newPasswordField('new_password', pool, weak),
    ]
    const address = attempt.recovery?.identifier.typed ?? ''
    const links = { other: addressOf(visit, 'recover'), signin: addressOf(visit, 'identify') }
    const texted = attempt.recovery !== undefined && isTexted(scene.services, pool, attempt.recovery.identifier)
    const values = { address, texted, links, buttons: [resend] }
    page(visit, attempt, '../recover/verify', { fields, submit: 'button.set_password' }, values)
  },

  'change-password': (visit, { attempt, scene, found }) => {
    const pool = connectionOf(scene, attempt)?.pool
    if (!pool || !found) throw new Problem('expired')
    const error = attempt.draft?.view === 'change' ? attempt.draft.errors.new_password : undefined
    const form = { fields: [newPasswordField('new_password', pool, error)], submit: 'button.set_password' }
    const why = mustGiveWay(scene.services.clock.now(), pool, found) ?? 'common'
    page(visit, attempt, 'change', form, { why, identifier: attempt.identifier?.typed ?? '' })
  },

  denied: (visit, { attempt }, { reason = null }) => {
    const buttons = [{ name: 'action', value: 'other', label: 'button.other_account' }]
    const form = { fields: [], submit: 'button.back_to_app' }
    page(visit, attempt, 'denied', form, { reason, buttons })
  },

  another: (visit, { attempt }, { methods }) => {
    const listed = methods.map((name) => ({ name, label: visit.words.t(`method.${name}`) }))
    page(
      visit,
      attempt,
      'methods',
      { fields: [], submit: 'button.continue' },
      { methods: listed, ...who(visit, attempt) },
      'another',
    )
  },

  prove: async (visit, stage, { method, methods, second }) => {
    const { attempt } = stage
    const { form, pending, name, challenge } = getMethod(method)
    const kept = pending.safeParse(attempt.pending ?? {})
    const at = await askingOf(stage)
    const { fields, passkey, ...rest } = form(at, kept.success ? kept.data : undefined, undefined)
    const drawn = { ...rest, fields: [...fields, ...(second ? rememberField(at.pool) : [])] }
    const links = {
      ...(methods.length > 1 ? { another: addressOf(visit, 'another') } : {}),
      ...(name === 'password' ? { recover: addressOf(visit, 'recover') } : {}),
    }
    if (name === 'magic_link') rememberHere(visit.ctx, visit.desk, visit.asked.uid)
    const buttons = !challenge ? [] : [name === 'magic_link' ? resendLink : resend]
    page(visit, attempt, 'prove', drawn, { method, links, buttons, passkey, ...who(visit, attempt) })
  },

  enrol: (visit, stage, { method, methods, optional = false }) => {
    const { attempt, found, scene } = stage
    const pool = connectionOf(scene, attempt)?.pool
    if (!pool || !found) throw new Problem('expired')
    if (!method) {
      const listed = methods.map((name) => ({ name, label: visit.words.t(`enrol.${name}`) }))
      const form = { fields: [], submit: 'button.continue' }
      return page(visit, attempt, 'enrol', form, { methods: listed, ...who(visit, attempt) })
    }
    const { begun, form } = enrolmentOf(method)
    const kept = begun.parse(attempt.enrolment?.begun)
    const { show: secret = null, passkey, ...drawn } = form(enrollingOf(stage, pool, found), kept, undefined)
    const others = methods.length > 1 ? [{ name: 'action', value: 'other', label: 'button.other_factor' }] : []
    const buttons = optional ? [{ name: 'action', value: 'later', label: 'button.later' }] : others
    page(visit, attempt, 'enrol', drawn, { method, optional, secret, passkey, buttons, ...who(visit, attempt) })
  },

  'recovery-codes': (visit, { attempt, scene }) => {
    const codes = attempt.codes ? openCodes(scene.services.keyring, attempt.codes, attempt.id) : []
    if (visit.ctx.query.view === 'download' && codes.length > 0) return download(visit, attempt, codes)
    const buttons = codes.length > 0 ? [] : [{ name: 'action', value: 'renew', label: 'button.new_codes' }]
    const links = { download: `${addressOf(visit)}?view=download` }
    const values = { codes, left: attempt.codesLeft ?? 0, links, buttons }
    page(visit, attempt, 'recovery-codes', { fields: [], submit: 'button.continue' }, values)
  },
}

/** The codes once more, to be kept as a file; the page that goes on has shown them for the last time. */
const download = ({ ctx, scene, words }: Visit, { identifier }: Attempt, codes: readonly string[]): void => {
  const service = brandOf(scene.workspace).name
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Content-Disposition', 'attachment; filename="recovery-codes.txt"')
  ctx.type = 'text/plain; charset=utf-8'
  ctx.body = [words.t('codes.file', { account: identifier?.typed ?? '', service }), '', ...codes, ''].join('\n')
}

const rememberField = ({ settings }: Pool): Field[] => {
  const { remember_device_days: days } = settings
  return days === 0 ? [] : [{ name: 'remember', kind: 'checkbox', label: { key: 'field.remember', values: { days } } }]
}

const resend = { name: 'action', value: 'resend', label: 'button.resend_code' }
const resendLink = { ...resend, label: 'button.resend_link' }

const who = (visit: Visit, { identifier }: Attempt) => ({
  identifier: identifier?.typed ?? '',
  notYou: addressOf(visit, 'identify'),
})

/** Which of several pools was chosen, with the way back to the choice. */
const placeOf = (visit: Visit, attempt: Attempt) => {
  const { pools } = policyOf(visit.scene, attempt)
  const chosen = attempt.pool === undefined ? undefined : connectionOf(visit.scene, attempt)
  return chosen && pools.length > 1 ? { name: chosen.name, change: addressOf(visit, 'choose') } : null
}

const clientOf = ({ scene }: Visit) => ({ name: scene.client?.metadata.client_name ?? '' })

const hintOf = ({ asked }: Visit): string | undefined => {
  const hint = asked.params.login_hint
  return typeof hint === 'string' && hint.length <= 320 && asked.prompt.name !== 'select_account' ? hint : undefined
}

interface PageValues {
  buttons?: { name: string; value: string; label: string }[]
  [value: string]: unknown
}

const page = (
  visit: Visit,
  attempt: Attempt,
  view: string,
  form: Parameters<typeof drawForm>[0],
  { buttons, ...values }: PageValues,
  posted?: View,
): void => {
  const { ctx, desk, words, scene, asked } = visit
  // What an answer led to is said where it led, not on the pages that links lead to from there.
  const { notice, alert } = viewOf(ctx) ? {} : attempt
  const { services } = desk
  const action = addressOf(visit, posted)
  const drawn = drawForm(form, {
    words,
    services,
    action,
    boundTo: asked.uid,
    notice,
    alert,
    // Where the address says what is answered, any tab may say it; elsewhere the form has to.
    hidden: posted ? [] : [{ name: 'asks', value: asksOf(attempt) }],
    ...(buttons ? { buttons } : {}),
  })
  const passkeys = usesPasskeys(scene, attempt)
  const applications = scene.workspace.connections.map(({ postAuthentication }) => postAuthentication.application?.url)
  const formAction = [...new Set([asked.params.redirect_uri, ...applications].flatMap(formActionOf))]
  const showing = { workspace: scene.workspace, words, formAction, renews: passkeys }
  show(ctx, desk, showing, view.startsWith('../') ? view.slice(3) : `signin/${view}`, {
    ...values,
    passkeys,
    form: drawn,
  })
}
