import { propertiesOf } from '../directory/profiles.ts'
import { Problem } from '../platform/problem.ts'
import { askingOf, type Stage } from '../signin/advance.ts'
import type { Attempt } from '../signin/attempt.ts'
import { codeAgain, codeField, identifierField, passwordField, profileField } from '../signin/form.ts'
import { getMethod } from '../signin/methods/index.ts'
import { connectionOf, policyOf } from '../signin/policy.ts'
import type { Step, View } from '../signin/step.ts'
import { drawForm, formActionOf, show } from './page.ts'
import { addressOf, asksOf, type Visit, viewOf } from './visit.ts'

type Drawer<S extends Step['do']> = (visit: Visit, stage: Stage, step: Extract<Step, { do: S }>) => Promise<void> | void

/** How each step is shown; none of them does anything else. */
export const drawers: { [S in Exclude<Step['do'], 'finish'>]: Drawer<S> } = {
  closed: () => {
    throw new Problem('not_found', { detail: 'Nobody can sign in to this application yet.' })
  },

  choose: (visit, { attempt, scene }, { pools }) => {
    const offered = scene.workspace.connections.filter(({ pool }) => pools.includes(pool.id))
    const listed = offered.map(({ name, pool }) => ({
      id: pool.id,
      name,
      description: pool.description,
      color: pool.color,
    }))
    page(visit, attempt, 'choose', { fields: [], submit: 'button.continue' }, { pools: listed }, 'choose')
  },

  identify: (visit, { attempt, scene }) => {
    const policy = policyOf(scene, attempt)
    const { draft } = attempt
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const error = draft?.view === 'identify' ? draft.errors.identifier : undefined
    const fields = [identifierField(policy.identifiers, typed, error)]
    const links = policy.registration ? { register: addressOf(visit, 'register') } : {}
    const values = { client: clientOf(visit), place: placeOf(visit, attempt), links }
    page(visit, attempt, 'identify', { fields, submit: 'button.continue' }, values, 'identify')
  },

  register: (visit, { attempt, scene }) => {
    const pool = connectionOf(scene, attempt)?.pool
    if (!pool) throw new Problem('expired')
    const draft = attempt.draft?.view === 'register' ? attempt.draft : undefined
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const policy = { key: 'hint.password', values: { count: pool.settings.password_policy.min_length } }
    const secret = passwordField('password', draft?.errors.password, policy)
    const fields = [
      { ...identifierField(['email'], typed, draft?.errors.identifier), autocomplete: 'email' },
      ...propertiesOf(pool.settings.user_schema).map((property) =>
        profileField(property, draft?.values[property.name], draft?.errors[property.name]),
      ),
      ...(pool.settings.sign_in_methods.includes('password') ? [{ ...secret, autocomplete: 'new-password' }] : []),
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
    const buttons = [resend, { name: 'action', value: 'correct', label: 'button.correct_address' }]
    const address = attempt.registration?.identifier.typed ?? ''
    page(visit, attempt, 'verify', { fields: [codeField(length)], submit: 'button.continue' }, { address, buttons })
  },

  recover: (visit, { attempt, scene }) => {
    const draft = attempt.draft?.view === 'recover' ? attempt.draft : undefined
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const fields = [identifierField(policyOf(scene, attempt).identifiers, typed, draft?.errors.identifier)]
    const links = { signin: addressOf(visit, 'identify') }
    page(visit, attempt, '../recover/identify', { fields, submit: 'method.email_code' }, { links }, 'recover')
  },

  reset: (visit, { attempt, scene }) => {
    const settings = connectionOf(scene, attempt)?.pool.settings
    const policy = { key: 'hint.password', values: { count: settings?.password_policy.min_length ?? 12 } }
    const weak = attempt.draft?.errors.new_password
    const fields = [
      codeField(settings?.code_policy.length ?? 6, weak && codeAgain),
      passwordField('new_password', weak, policy),
    ]
    const address = attempt.recovery?.identifier.typed ?? ''
    const links = { other: addressOf(visit, 'recover'), signin: addressOf(visit, 'identify') }
    const values = { address, links, buttons: [resend] }
    page(visit, attempt, '../recover/verify', { fields, submit: 'button.set_password' }, values)
  },

  'change-password': (visit, { attempt, scene }) => {
    const settings = connectionOf(scene, attempt)?.pool.settings
    const policy = { key: 'hint.password', values: { count: settings?.password_policy.min_length ?? 12 } }
    const error = attempt.draft?.view === 'change' ? attempt.draft.errors.new_password : undefined
    const form = { fields: [passwordField('new_password', error, policy)], submit: 'button.set_password' }
    page(visit, attempt, 'change', form, { identifier: attempt.identifier?.typed ?? '' })
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

  prove: async (visit, stage, { method, methods }) => {
    const { attempt } = stage
    const { form, pending, name } = getMethod(method)
    const kept = pending.safeParse(attempt.pending ?? {})
    const at = await askingOf(stage)
    const drawn = form(at, kept.success ? kept.data : undefined, undefined)
    const links = {
      ...(methods.length > 1 ? { another: addressOf(visit, 'another') } : {}),
      ...(name === 'password' ? { recover: addressOf(visit, 'recover') } : {}),
    }
    const buttons = name === 'password' ? [] : [resend]
    page(visit, attempt, 'prove', drawn, { method, links, buttons, ...who(visit, attempt) })
  },
}

const resend = { name: 'action', value: 'resend', label: 'button.resend_code' }

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
  const showing = { workspace: scene.workspace, words, formAction: formActionOf(asked.params.redirect_uri) }
  show(ctx, desk, showing, view.startsWith('../') ? view.slice(3) : `signin/${view}`, { ...values, form: drawn })
}
