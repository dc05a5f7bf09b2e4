import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { IntlMessageFormat } from 'intl-messageformat'
import { messageNames, textNames } from './platform/http/message-list.ts'
import { type Brand, type Field, type Form, openRender, renderMessage, renderText } from './platform/http/render.ts'
import { languages, type Words, wordsFor } from './platform/words.ts'

const root = join(import.meta.dirname, '..')

type Sample = (words: Words) => Record<string, unknown>

const brand: Brand = {
  name: 'Strandbad Lindau',
  logo: null,
  color: '#0b6e8f',
  links: [
    { label: 'Imprint', href: 'https://example.org/imprint' },
    { label: 'Privacy', href: 'https://example.org/privacy' },
  ],
}
const logo =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const client = { name: 'Bathing Hut Bookings' }
const long = 'maximiliane.von-und-zu-hohenzollern-sigmaringen@department-of-bathing-hut-affairs.example.org'

const form = (fields: Field[], submit: string, more: Partial<Form> = {}): Form => ({
  action: '/w/demo/signin/abc',
  csrf: 'c5rf',
  hidden: [],
  fields,
  submit,
  ...more,
})
const identifier = ({ t }: Words, more: Partial<Field> = {}): Field => ({
  name: 'identifier',
  kind: 'email',
  label: t('field.identifier.email'),
  required: true,
  autocomplete: 'username',
  ...more,
})
const password = ({ t }: Words, more: Partial<Field> = {}): Field => ({
  name: 'password',
  kind: 'password',
  label: t('field.password'),
  required: true,
  autocomplete: 'current-password',
  ...more,
})
const code = ({ t }: Words, more: Partial<Field> = {}): Field => ({
  name: 'code',
  kind: 'code',
  label: t('field.code'),
  required: true,
  ...more,
})
const newPassword = (words: Words, more: Partial<Field> = {}) =>
  password(words, {
    autocomplete: 'new-password',
    minlength: 12,
    hint: words.t('hint.password', { count: 12 }),
    meter: { least: 12 },
    ...more,
  })
const remember = ({ t }: Words): Field => ({
  name: 'remember',
  kind: 'checkbox',
  label: t('field.remember', { days: 30 }),
})
const resend = { name: 'action', value: 'resend', label: 'button.resend_code' }
const otherAccount = { name: 'action', value: 'other', label: 'button.other_account' }
const correct = { name: 'action', value: 'correct', label: 'button.correct_address' }

/** One field of every kind, with everything that can be said about it. */
const everyField = (words: Words): Field[] => [
  identifier(words, { value: 'ada@', error: words.t('error.email') }),
  { name: 'given_name', kind: 'text', label: 'Given name', value: '<b>"Ada"</b>', maxlength: 80 },
  { name: 'phone_number', kind: 'tel', label: 'Phone number', hint: '+41', error: 'Wrong' },
  { name: 'age', kind: 'number', label: 'Age', min: 0, max: 150, step: 1, inputmode: 'numeric' },
  { name: 'birthdate', kind: 'date', label: 'Date of birth', autocomplete: 'bday' },
  { name: 'website', kind: 'url', label: 'Website', readonly: true, value: 'https://example.org' },
  { name: 'about', kind: 'textarea', label: 'About you', value: '\nTwo\nlines' },
  {
    name: 'hut',
    kind: 'select',
    label: 'Hut',
    required: true,
    error: words.t('error.choice'),
    options: [
      { value: 'a', label: 'By the pier' },
      { value: 'b', label: 'On the meadow' },
    ],
  },
  { name: 'size', kind: 'select', label: 'Size', value: 'l', options: [{ value: 'l', label: 'Large' }] },
  newPassword(words, { maxlength: 64 }),
  { name: 'newsletter', kind: 'checkbox', label: 'Send me the season’s news', value: 'true' },
  { name: 'terms', kind: 'checkbox', label: 'I keep the rules of the house', required: true, error: 'Needed' },
]

const samples: Record<string, Record<string, Sample>> = {
  'signin/choose': {
    plain: () => ({
      form: { action: '/', csrf: 'c5rf', hidden: [] },
      pools: [
        { id: 'p1', name: 'Guests', description: 'Everyone who books a hut or a boat', color: '#0b6e8f' },
        { id: 'p2', name: 'Members', description: 'The bathing club', color: '#f2b705' },
        { id: 'p3', name: 'Staff', description: null, color: null },
      ],
    }),
  },
  'signin/depart': {
    plain: () => ({ name: 'Example ID', next: '?depart', alert: null, links: {} }),
    'one of several, after a fault': () => ({
      name: 'Example ID',
      next: '?depart',
      alert: { key: 'alert.upstream_denied', values: { name: 'Example ID' } },
      links: { choose: '?choose' },
    }),
  },
  'signin/arrived': { plain: () => ({ next: '?arrived' }) },
  'signin/link': {
    plain: () => ({
      place: 'Example ID',
      address: 'ada@example.org',
      form: {
        action: '/',
        csrf: 'c5rf',
        hidden: [],
        buttons: [
          { name: 'action', value: 'link', label: 'button.link_account' },
          { name: 'action', value: 'new', label: 'button.new_account' },
        ],
      },
    }),
  },
  'signin/identify': {
    plain: (words) => ({
      client,
      form: form([identifier(words)], 'button.continue'),
      links: { register: '?register', cancel: '?cancel' },
    }),
    wrong: (words) => ({
      client,
      form: form([identifier(words, { value: 'ada@', error: words.t('error.email') })], 'button.continue'),
      links: { register: '?register' },
    }),
    'one of several pools': (words) => ({
      client,
      place: { name: 'Guests', change: '?choose' },
      form: form([identifier(words)], 'button.continue'),
      links: { register: '?register' },
    }),
    bare: (words) => ({ client, form: form([identifier(words)], 'button.continue'), links: {} }),
    'with passkeys': (words) => ({
      client,
      passkeys: true,
      passkey: { act: 'get', options: '{"challenge":"<&>"}' },
      form: form([identifier(words, { autocomplete: 'username webauthn' })], 'button.continue'),
      links: { register: '?register' },
    }),
  },
  'signin/prove': {
    password: (words) => ({
      method: 'password',
      identifier: 'ada@example.org',
      notYou: '?again',
      form: form([password(words)], 'button.sign_in'),
      links: { recover: '/w/demo/recover', another: '?methods' },
    }),
    'wrong password': (words) => ({
      method: 'password',
      identifier: long,
      notYou: '?again',
      form: form([password(words)], 'button.sign_in', { alert: { key: 'alert.credentials' } }),
      links: { recover: '/w/demo/recover', another: '?methods' },
    }),
    code: (words) => ({
      method: 'email_code',
      identifier: 'ada@example.org',
      notYou: '?again',
      form: form([code(words)], 'button.sign_in', { buttons: [resend], notice: 'notice.code_sent' }),
      links: { another: '?methods' },
    }),
    'code by text message': (words) => ({
      method: 'sms_code',
      identifier: '+41 79 123 45 67',
      notYou: '?again',
      form: form([code(words)], 'button.sign_in', {
        buttons: [resend],
        alert: { key: 'alert.resend_wait', values: { minutes: 60 } },
      }),
      links: { another: '?methods' },
    }),
    link: (words) => ({
      method: 'magic_link',
      identifier: long,
      notYou: '?again',
      form: form([code(words, { hint: words.t('prove.link.other') })], 'button.continue', {
        buttons: [{ ...resend, label: 'button.resend_link' }],
        notice: 'notice.link_sent',
      }),
      links: { another: '?methods' },
    }),
    'code of an authenticator': (words) => ({
      method: 'totp',
      identifier: 'ada@example.org',
      notYou: '?again',
      form: form([code(words), remember(words)], 'button.sign_in', { alert: { key: 'alert.totp_wrong' } }),
      links: { another: '?methods' },
    }),
    passkey: (words) => ({
      method: 'passkey',
      identifier: 'ada@example.org',
      notYou: '?again',
      passkeys: true,
      passkey: { act: 'get', options: '{}' },
      form: form([remember(words)], 'button.passkey', { alert: { key: 'alert.passkey_wrong' } }),
      links: { another: '?methods' },
    }),
    'recovery code': (words) => ({
      method: 'recovery_code',
      identifier: long,
      notYou: '?again',
      form: form([{ ...code(words), kind: 'text', maxlength: 64 }, remember(words)], 'button.sign_in'),
      links: { another: '?methods' },
    }),
  },
  'signin/enrol': {
    'a passkey': () => ({
      identifier: 'ada@example.org',
      notYou: '?again',
      method: 'passkey',
      optional: false,
      passkeys: true,
      passkey: { act: 'create', options: '{}' },
      form: form([], 'button.passkey_add', {
        buttons: [{ name: 'action', value: 'other', label: 'button.other_factor' }],
        alert: { key: 'alert.passkey_not_added' },
      }),
    }),
    'a passkey for the next time': () => ({
      identifier: long,
      notYou: '?again',
      method: 'passkey',
      optional: true,
      passkeys: true,
      passkey: { act: 'create', options: '{}' },
      form: form([], 'button.passkey_add', { buttons: [{ name: 'action', value: 'later', label: 'button.later' }] }),
    }),
    choice: ({ t }) => ({
      identifier: 'ada@example.org',
      notYou: '?again',
      form: form([], 'button.continue'),
      methods: ['totp', 'passkey'].map((name) => ({ name, label: t(`enrol.${name}`) })),
    }),
    authenticator: (words) => ({
      identifier: 'ada@example.org',
      notYou: '?again',
      method: 'totp',
      secret: { qr: { size: 2, path: 'M0 0h1v1h-1z' }, secret: 'JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP' },
      form: form([code(words)], 'button.continue', {
        buttons: [{ name: 'action', value: 'other', label: 'button.other_factor' }],
        alert: { key: 'alert.code_wrong' },
      }),
    }),
  },
  'signin/recovery-codes': {
    new: () => ({
      codes: Array.from({ length: 10 }, (_, n) => `ABCDEF-GHJKMN-PQRSTV-WXYZ${10 + n}`),
      links: { download: '?view=download' },
      form: form([], 'button.continue'),
    }),
    few: () => ({
      codes: [],
      left: 3,
      links: {},
      form: form([], 'button.continue', { buttons: [{ name: 'action', value: 'renew', label: 'button.new_codes' }] }),
    }),
  },
  'signin/methods': {
    plain: ({ t }) => ({
      identifier: 'ada@example.org',
      notYou: '?again',
      form: form([], 'button.continue'),
      methods: ['password', 'email_code', 'sms_code', 'magic_link', 'passkey', 'totp', 'recovery_code'].map((name) => ({
        name,
        label: t(`method.${name}`),
      })),
    }),
  },
  'signin/register': {
    plain: (words) => ({
      client,
      form: form(
        [
          identifier(words),
          { name: 'given_name', kind: 'text', label: 'Given name', required: true },
          { name: 'nickname', kind: 'text', label: 'Nickname', autocomplete: 'nickname' },
          newPassword(words),
        ],
        'button.create_account',
      ),
      links: { signin: '?signin' },
    }),
    'every field': (words) => ({ form: form(everyField(words), 'button.create_account'), links: {} }),
  },
  'signin/denied': {
    'with a reason': () => ({
      reason: 'Your membership has ended. Write to members@example.org to renew it.',
      form: form([], 'button.back_to_app', { buttons: [otherAccount] }),
    }),
    'without a reason': () => ({ reason: null, form: form([], 'button.back_to_app', { buttons: [otherAccount] }) }),
  },
  'signin/verify': {
    plain: (words) => ({
      address: 'ada@example.org',
      form: form([code(words, { hint: '6' })], 'button.continue', {
        buttons: [resend, correct],
      }),
    }),
    'by text message': (words) => ({
      address: '+41 79 123 45 67',
      texted: true,
      form: form([code(words)], 'button.continue', {
        buttons: [resend, { ...correct, label: 'button.correct_number' }],
      }),
    }),
    'wrong code': (words) => ({
      address: long,
      form: form([code(words, { error: words.t('alert.code_wrong') })], 'button.continue', {
        buttons: [resend, correct],
      }),
    }),
  },
  'signin/change': Object.fromEntries(
    ['set', 'expired', 'common'].map((why): [string, Sample] => [
      why,
      (words) => ({
        why,
        identifier: 'ada@example.org',
        form: form(
          [newPassword(words, { name: 'new_password', label: words.t('field.new_password') })],
          'button.set_password',
        ),
      }),
    ]),
  ),
  'signin/consent': {
    plain: ({ t }) => ({
      client: {
        ...client,
        logo,
        uri: 'https://huts.example.org',
        policy_uri: 'https://huts.example.org/policy',
        tos_uri: 'https://huts.example.org/terms',
      },
      unknown: null,
      account: 'ada@example.org',
      scopes: ['openid', 'profile', 'email', 'offline_access'].map((name) => ({
        name,
        label: t(`scope.${name}.label`),
        description: t(`scope.${name}.detail`),
      })),
      claims: [t('claim.birthdate'), long],
      details: [
        {
          label: 'Make a payment',
          facts: [
            { name: 'Amount', value: '123.50 EUR' },
            { name: 'creditor.name', value: long },
          ],
        },
        { label: 'booking', facts: [] },
      ],
      form: { action: '/', csrf: 'c5rf', hidden: [] },
    }),
    bare: () => ({
      client: { ...client, uri: 'javascript:alert(1)' },
      unknown: { key: 'consent.unknown.document', host: 'app.example.org', device: true },
      account: 'ada',
      scopes: [{ name: 'huts', label: 'huts' }],
      claims: [],
      details: [],
      form: { action: '/', csrf: 'c5rf', hidden: [] },
    }),
  },
  'device/code': {
    plain: ({ t }) => ({
      form: form(
        [
          {
            name: 'user_code',
            kind: 'code',
            label: t('device.code'),
            hint: t('device.hint'),
            required: true,
            autocomplete: 'off',
            inputmode: 'text',
            value: 'BCD-FGH-JKL',
          },
        ],
        'button.continue',
        { alert: { key: 'device.wrong' } },
      ),
    }),
  },
  'device/confirm': {
    plain: ({ t }) => ({
      client: { ...client, logo },
      unknown: null,
      account: long,
      device: { name: 'Firefox on Linux', ip: '2001:db8::1', at: '2026-01-02T03:04:05.000Z', time: '2 January' },
      scopes: ['openid', 'email'].map((name) => ({
        name,
        label: t(`scope.${name}.label`),
        description: t(`scope.${name}.detail`),
      })),
      claims: [t('claim.birthdate')],
      details: [],
      form: { action: '/', csrf: 'c5rf', hidden: [] },
    }),
    bare: ({ t }) => ({
      client,
      unknown: { key: 'consent.unknown.registered', host: 'app.example.org', device: false },
      account: 'ada',
      device: { name: 'TV', ip: '::1', at: '2026-01-02T03:04:05.000Z', time: '2 January' },
      scopes: [],
      claims: [t('claim.email')],
      details: [],
      form: { action: '/', csrf: 'c5rf', hidden: [] },
    }),
  },
  'device/done': { plain: () => ({ client: long }) },
  'device/cancelled': { plain: () => ({}) },
  'account/overview': {
    plain: ({ t }) => ({
      identifier: long,
      signOut: '/w/demo/logout',
      notice: 'notice.account_password',
      alert: null,
      back: '/',
      sections: ['profile', 'identifiers', 'password', 'factors', 'sessions', 'applications', 'activity', 'data'].map(
        (name) => ({ href: `/${name}`, label: t(`account.${name}.title`), detail: t(`account.${name}.about`) }),
      ),
    }),
  },
  'account/list': {
    sessions: ({ t }) => ({
      heading: t('account.sessions.title'),
      lead: t('account.sessions.text'),
      notice: 'notice.account_ended',
      alert: null,
      back: '/',
      items: [
        {
          title: 'Firefox on Linux',
          badge: t('account.sessions.this'),
          lines: [{ text: t('account.sessions.seen', { time: '1 May 2026, 12:00 UTC' }), at: null }],
          link: null,
          form: null,
        },
        {
          title: long,
          badge: null,
          lines: [{ text: '1 May 2026, 12:00 UTC', at: '2026-05-01T12:00:00.000Z' }],
          link: { href: '/', label: t('link.change') },
          form: form([], 'button.end_session', { hidden: [{ name: 'end', value: 'abc' }] }),
        },
      ],
      more: {
        heading: t('account.sessions.devices'),
        items: [{ title: t('account.sessions.remembered'), badge: null, lines: [], link: null, form: null }],
      },
      forms: [form([], 'button.end_others')],
    }),
    'nothing but ways on': ({ t }) => ({
      heading: t('account.data.title'),
      lead: null,
      notice: null,
      alert: null,
      back: '/',
      items: [],
      actions: [{ href: '/', label: t('account.data.download') }],
    }),
  },
  'account/form': {
    plain: (words) => ({
      heading: words.t('account.profile.title'),
      lead: words.t('account.profile.fixed'),
      notice: 'notice.account_saved',
      alert: null,
      back: '/',
      facts: [{ name: 'Member number', value: 'M-1' }],
      form: form([{ name: 'given_name', kind: 'text', label: 'Given name', value: 'Ada' }], 'button.save'),
    }),
    password: (words) => ({
      heading: words.t('account.password.title'),
      lead: words.t('account.password.text'),
      notice: null,
      alert: null,
      back: '/',
      facts: [],
      username: 'ada@example.org',
      form: form(
        [
          password(words, { label: words.t('field.old_password'), error: words.t('error.old_password') }),
          newPassword(words, { name: 'new_password', label: words.t('field.new_password') }),
        ],
        'button.set_password',
      ),
    }),
    'nothing left to fill in': (words) => ({
      heading: words.t('account.identifiers.title'),
      lead: null,
      notice: null,
      alert: { key: 'alert.identifier_taken' },
      back: '/',
      facts: [],
      form: null,
    }),
  },
  'account/gone': { plain: () => ({}) },
  'recover/identify': {
    plain: (words) => ({ form: form([identifier(words)], 'button.continue'), links: { signin: '/' } }),
  },
  'recover/verify': {
    plain: (words) => ({
      address: 'ada@example.org',
      texted: false,
      form: form(
        [code(words), newPassword(words, { name: 'new_password', label: words.t('field.new_password') })],
        'button.set_password',
        { buttons: [resend] },
      ),
      links: { other: '?recover', signin: '?signin' },
    }),
    'two faults': (words) => ({
      address: '079 111 00 01',
      texted: true,
      form: form(
        [
          code(words, { error: words.t('error.required') }),
          newPassword(words, {
            name: 'new_password',
            label: words.t('field.new_password'),
            error: words.t('error.password_short', { count: 12 }),
          }),
        ],
        'button.set_password',
      ),
      links: { other: '?recover' },
    }),
  },
  'recover/link': {
    plain: (words) => ({
      address: 'ada@example.org',
      form: form(
        [newPassword(words, { name: 'new_password', label: words.t('field.new_password') })],
        'button.set_password',
      ),
    }),
  },
  'recover/done': { plain: () => ({ links: { signin: '/' } }) },
  'invitation/accept': {
    plain: (words) => ({
      service: brand.name,
      inviter: 'Grace Hopper',
      message: 'Welcome aboard <b>Ada</b>',
      address: 'ada@example.org',
      form: form(
        [
          { name: 'given_name', kind: 'text', label: 'Given name', required: true },
          newPassword(words, { name: 'new_password', label: words.t('field.new_password') }),
        ],
        'button.accept',
      ),
    }),
    bare: () => ({ service: brand.name, inviter: null, message: null, address: long, form: form([], 'button.accept') }),
  },
  'invitation/code': {
    plain: (words) => ({ form: form([identifier(words), code(words)], 'button.continue') }),
    wrong: (words) => ({
      form: form([identifier(words, { value: 'ada@example.org' }), code(words)], 'button.continue', {
        alert: { key: 'alert.code_wrong' },
      }),
    }),
  },
  'invitation/done': { plain: () => ({ address: 'ada@example.org' }) },
  'verify/continue': {
    plain: () => ({ service: brand.name, address: long, form: form([], 'button.continue') }),
  },
  'verify/code': { plain: () => ({ code: '4930271568' }) },
  logout: {
    plain: () => ({ form: { action: '/', csrf: 'c5rf', hidden: [{ name: 'xsrf', value: 'x5rf' }] } }),
  },
  formpost: {
    plain: () => ({
      action: 'https://app.example/callback',
      fields: [
        { name: 'code', value: 'c0de' },
        { name: 'state', value: '"<i>here</i>' },
      ],
    }),
  },
  loggedout: { plain: () => ({}) },
  problem: {
    plain: ({ t }) => ({
      title: t('problem.not_found.title'),
      detail: t('problem.not_found.detail'),
      code: 'not_found',
      trace: '0af7651916cd43dd8448eb211c80319c',
      home: '/',
    }),
    oauth: ({ t }) => ({
      title: t('problem.oauth.title'),
      detail: t('problem.oauth.detail'),
      error: 'invalid_request',
      error_description: 'code_challenge is required <i>here</i>',
    }),
    bare: ({ t }) => ({ title: t('problem.server_error.title') }),
  },
  'api/docs': {
    plain: () => ({
      resource: 'http://localhost:3000/api/v1',
      resources: [
        {
          name: 'pools',
          operations: [
            {
              id: 'getPool',
              method: 'GET',
              path: '/pools/{pool}',
              summary: 'Read a pool',
              scope: 'pools:read',
              parameters: [
                { name: '{pool}', type: 'string', needed: true, meaning: [{ code: false, text: 'Slug or id' }] },
              ],
              body: [],
              answer: [{ name: 'id', type: 'uuid', needed: true, meaning: [] }],
              status: '200',
              problems: [{ status: '404', meaning: [{ code: true, text: 'not_found' }] }],
            },
          ],
        },
      ],
    }),
  },
  'dev/index': {
    plain: () => ({
      rows: [
        { address: 'http://localhost:3000/demo', what: 'The demo application' },
        { address: 'http://localhost:3000/dev/inbox', what: 'Mails and text messages, as they were sent' },
        { address: 'http://localhost:3000/w/demo/.well-known/openid-configuration', what: 'Discovery' },
        { address: 'POST /w/demo/token', what: 'The token endpoint' },
      ],
    }),
  },
  'dev/inbox': {
    plain: () => ({
      messages: [
        {
          to: long,
          channel: 'email',
          subject: 'Your code for Strandbad Lindau',
          text: 'Hello,\n\nUse this code.\n\n    493027\n',
          code: '493027',
          link: 'http://localhost:3000/w/demo/signin/abc',
          sent_at: '2026-05-04T09:12:33.000Z',
        },
        { to: '+41791234567', channel: 'sms', subject: null, text: '493027', code: null, link: null, sent_at: 'now' },
      ],
    }),
    empty: () => ({ messages: [] }),
  },
  'dev/demo': {
    plain: () => ({ links: { signin: '/demo/signin' } }),
    'signed in': () => ({
      links: { signout: '/demo/signout' },
      claims: [
        { name: 'sub', value: '0197b0a4-3d1c-7f6e-9a51-0d5c7d9be1a2' },
        { name: 'email', value: 'ada@example.org' },
        { name: 'amr', value: '["pwd"]' },
      ],
    }),
  },
}

const render = openRender()
const draw = (view: string, words: Words, sample: Sample, looks: Brand = brand) =>
  render(view, { words, brand: looks, nonce: 'n0nce', ...sample(words) })
const all = (html: string, pattern: RegExp) => [...html.matchAll(pattern)].map(([whole, group]) => group ?? whole)
const drawn = languages.map(wordsFor).flatMap((words) =>
  Object.entries(samples).flatMap(([view, states]) =>
    Object.entries(states).map(([state, sample]) => ({
      title: `${view}, ${state}, ${words.lang}`,
      view,
      words,
      sample,
    })),
  ),
)

describe('every view', () => {
  it('has a sample', () => {
    const views = globSync('**/*.njk', { cwd: join(root, 'views') })
      .filter((file) => readFileSync(join(root, 'views', file), 'utf8').startsWith('{% extends "layout.njk" %}'))
      .map((file) => file.replace(/\.njk$/, ''))
    assert.deepEqual(Object.keys(samples).sort(), views.sort())
  })

  for (const { title, view, words, sample } of drawn) {
    it(`draws ${title}`, () => {
      const html = draw(view, words, sample)
      assert.match(html, new RegExp(`<html lang="${words.lang}" dir="${words.dir}">`))
      assert.equal(all(html, /<h1>/g).length, 1)
      assert.equal(all(html, /<main data-step="[a-z-]+">/g).length, 1)
      assert.ok(all(html, /role="alert"/g).length <= 1, 'at most one alert')
      assert.ok(all(html, / autofocus/g).length <= 1, 'at most one focus')
      assert.doesNotMatch(html, /undefined|\[object |NaN/)
      assertContentPolicy(html)
      assertLabelled(html)
    })
  }
})

/** Nothing that the pages' Content-Security-Policy would stop. */
const assertContentPolicy = (html: string) => {
  assert.doesNotMatch(
    html,
    /<script(?! type="module" src="\/assets\/[\w.-]+\?v=[\w-]{12}"><\/script>)|\sstyle=|\son[a-z]+=|javascript:/i,
  )
  assert.deepEqual(all(html, /<style[^>]*>/g), ['<style nonce="n0nce">'])
  assert.deepEqual(
    all(html, /<link rel="stylesheet" href="([^"]*)"/g).map((href) => href.replace(/\?v=.{12}$/, '')),
    ['/assets/lido.css'],
  )
}

const assertLabelled = (html: string) => {
  const ids = all(html, / id="([^"]*)"/g)
  assert.equal(new Set(ids).size, ids.length, 'ids are unique')
  const labels = all(html, /<label for="([^"]*)"/g)
  const fields = all(html, /<(?:input|select|textarea)[^>]*>/g).filter((tag) => !/type="hidden"|aria-hidden/.test(tag))
  assert.deepEqual(
    fields.map((tag) => / id="([^"]*)"/.exec(tag)?.[1]),
    labels,
  )
  for (const said of all(html, /aria-(?:describedby|labelledby)="([^"]*)"/g).flatMap((list) => list.split(' ')))
    assert.ok(ids.includes(said), `${said} is on the page`)
}

describe('a form', () => {
  const words = wordsFor('en')
  const html = draw('signin/register', words, (said) => ({ form: form(everyField(said), 'button.create_account') }))
  const field = (name: string) =>
    new RegExp(`<(?:input|select|textarea)[^>]* name="${name}"[^>]*>`).exec(html)?.[0] ?? ''

  it('begins at the first error, else at the first empty field', () => {
    assert.match(field('identifier'), / autofocus/)
    const fresh = draw('signin/register', words, (said) => ({
      form: form([identifier(said, { value: 'ada@example.org' }), newPassword(said)], 'button.create_account'),
    }))
    assert.match(fresh, /name="password"[^>]* autofocus/)
  })

  it('ties each error and hint to its field', () => {
    assert.match(field('phone_number'), / aria-invalid="true" aria-describedby="error-phone_number hint-phone_number"/)
    assert.match(html, /<p class="error" id="error-phone_number">Wrong<\/p>/)
  })

  it('lists several faults in one alert, and makes a single one the alert', () => {
    assert.match(
      html,
      /role="alert">\s*<div>\s*<p>Please check these fields:<\/p>\s*<ul>\s*<li><a href="#field-identifier">Email/,
    )
    const single = draw('signin/identify', words, (said) => ({
      client,
      form: form([identifier(said, { error: 'Wrong' })], 'button.continue'),
    }))
    assert.match(single, /<p class="error" id="error-identifier" role="alert">Wrong<\/p>/)
  })

  it('helps password managers and keyboards', () => {
    assert.match(
      field('identifier'),
      /type="email" dir="auto" autocapitalize="none" spellcheck="false" autocomplete="username"/,
    )
    assert.match(field('password'), /autocomplete="new-password" minlength="12"/)
    const asked = draw('signin/prove', words, samples['signin/prove']?.code as Sample)
    assert.match(asked, /inputmode="numeric" autocomplete="one-time-code"/)
    const proving = draw('signin/prove', words, samples['signin/prove']?.password as Sample)
    assert.match(proving, /name="username" autocomplete="username" value="ada@example.org" readonly tabindex="-1"/)
  })

  it('never cuts a password, and never sends one back', () => {
    assert.doesNotMatch(field('password'), /maxlength/)
    const answered = draw('signin/prove', words, (said) => ({
      method: 'password',
      identifier: 'ada',
      form: form([password(said, { value: 'hunter2 hunter2' })], 'button.sign_in'),
    }))
    assert.doesNotMatch(answered, /hunter2/)
  })

  it('keeps what was typed, as text', () => {
    assert.match(field('given_name'), / value="&lt;b&gt;&quot;Ada&quot;&lt;\/b&gt;"/)
    // HTML drops the first line break inside a textarea, so one is drawn that may be lost.
    assert.match(html, /<textarea[^>]*>\n\nTwo\nlines<\/textarea>/)
    assert.match(field('newsletter'), / checked/)
    assert.doesNotMatch(field('terms'), / checked/)
    assert.match(html, /<option value="l" selected>Large/)
    assert.doesNotMatch(html.slice(html.indexOf('name="size"')), /Please choose/)
  })
})

describe('a message', () => {
  const values = {
    brand,
    address: 'ada@example.org',
    minutes: 10,
    hours: 72,
    left: 2,
    added: 'grace@example.org',
    gone: 'none',
    days: 14,
    device: 'Firefox, Linux',
    network: '192.0.2.0/24',
    time: '21 November 2026 at 09:12 UTC',
    code: '493027',
    link: 'https://id.example.org/w/a',
  }
  for (const words of languages.map(wordsFor)) {
    for (const name of messageNames) {
      it(`draws ${name} in ${words.lang}`, () => {
        const { subject, text, html } = renderMessage(name, words, values)
        assert.ok(subject.includes(brand.name))
        for (const part of [text, html]) {
          assert.ok(part.includes(values.link) && part.includes(values.address))
          assert.doesNotMatch(part, /undefined|\[object |NaN/)
        }
        assert.equal(text.includes(values.code), html.includes(values.code))
        assert.doesNotMatch(text, /&[a-z]+;|<|\n{3}/)
        assert.doesNotMatch(html, /<img|url\(|<script|src=/)
        assert.match(html, new RegExp(`<html lang="${words.lang}" dir="${words.dir}">`))
      })
    }
  }
})

describe('a text message', () => {
  for (const words of languages.map(wordsFor)) {
    for (const name of textNames) {
      it(`says ${name} in ${words.lang} shortly, with what phones need to fill the code in as its last line`, () => {
        const values = {
          brand: { ...brand, name: `Strandbad ${'Lindau '.repeat(20)}` },
          host: 'id.example.org',
          minutes: 10,
        }
        const coded = name !== 'register-taken' && name !== 'password-changed'
        const text = renderText(name, words, { ...values, ...(coded ? { code: '493027' } : {}) })
        assert.doesNotMatch(text, /undefined|&|</)
        assert.equal(/\n\n@id\.example\.org #493027$/.test(text), coded)
        assert.ok(text.length <= 220, `${text.length} characters`)
      })
    }
  }
})

describe('the words', () => {
  const catalogues = languages.map((lang) => ({ lang, messages: catalogue(lang) }))
  const [reference] = catalogues

  it('have the same keys, which name the same values, in every language', () => {
    const shape = (messages: Record<string, string>) =>
      Object.fromEntries(Object.entries(messages).map(([key, message]) => [key, argumentsOf(message)]))
    for (const { messages } of catalogues) assert.deepEqual(shape(messages), shape(reference?.messages ?? {}))
  })

  it('count in every form that a language has', () => {
    for (const { lang, messages } of catalogues)
      for (const [key, message] of Object.entries(messages))
        for (const options of pluralsOf(message)) assert.deepEqual(unsaidCounts(lang, options), [], `${key} in ${lang}`)
  })

  it('set French signs apart by a narrow space at which no line breaks', () => {
    for (const [key, message] of Object.entries(catalogue('fr')))
      assert.doesNotMatch(message, /(?<!\u202f)[?!;:»](?=\s|$)|«(?!\u202f)|'/, key)
  })

  it('leave nothing in English where the script is another', () => {
    for (const [key, message] of Object.entries(catalogue('ja')))
      assert.match(message, /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}/u, key)
    for (const [key, message] of Object.entries(catalogue('ar'))) assert.match(message, /\p{Script=Arabic}/u, key)
  })

  it('are sorted, trimmed and never empty', () => {
    for (const { messages } of catalogues) {
      assert.deepEqual(Object.keys(messages), Object.keys(messages).toSorted())
      for (const message of Object.values(messages)) assert.ok(message && message === message.trim())
    }
  })

  it('are all said somewhere', () => {
    const { said, patterns } = keysSaid()
    const unsaid = Object.keys(reference?.messages ?? {}).filter(
      (key) => !said.has(key) && !patterns.some((pattern) => pattern.test(key)),
    )
    assert.deepEqual(unsaid, [])
  })

  it('hold every key that is asked for by name', () => {
    const inViews = sources('views/**/*.njk').flatMap((source) => all(source, /\bt\('([^']+)'/g))
    const family = /'((?:alert|button|error|field|hint|link|notice)\.[a-z_.]+)'/g
    const inCode = sources('src/**/!(*.test).ts').flatMap((source) => all(source, family))
    assert.ok(inViews.length > 50 && inCode.length > 20)
    for (const key of [...inViews, ...inCode]) assert.ok(reference?.messages[key], key)
  })
})

function catalogue(lang: string): Record<string, string> {
  return JSON.parse(readFileSync(join(root, 'views/words', `${lang}.json`), 'utf8'))
}

type Element = ReturnType<IntlMessageFormat['getAst']>[number]

/** Every part of a message, those inside of its choices included. */
const elementsOf = (message: string): Element[] => {
  const within = (element: Element): Element[] =>
    'options' in element
      ? [element, ...Object.values(element.options).flatMap(({ value }) => value.flatMap(within))]
      : [element]
  return new IntlMessageFormat(message, 'en', undefined, { ignoreTag: true }).getAst().flatMap(within)
}

const argumentsOf = (message: string): string[] => {
  const names = elementsOf(message).flatMap((element) =>
    'value' in element && element.type !== 0 ? [element.value] : [],
  )
  return [...new Set(names)].sort()
}

/** What each plural of a message has words for. */
const pluralsOf = (message: string): string[][] =>
  elementsOf(message).flatMap((element) => ('pluralType' in element ? [Object.keys(element.options)] : []))

/** Forms of a language's numbers up to 200 that a plural says neither by their name nor one by one. */
const unsaidCounts = (lang: string, options: string[]): string[] => {
  const rules = new Intl.PluralRules(lang)
  const counts = Array.from({ length: 201 }, (_, count) => count)
  const unsaid = counts.filter((count) => !options.includes(`=${count}`) && !options.includes(rules.select(count)))
  return [...new Set(unsaid.map((count) => rules.select(count)))]
}

const sources = (pattern: string) =>
  globSync(pattern, { cwd: root }).map((file) => readFileSync(join(root, file), 'utf8'))

/** Keys written out, and keys put together in a template string (`problem.${code}.title`). */
const keysSaid = () => {
  const texts = [...sources('views/**/*.njk'), ...sources('src/**/!(*.test).ts')]
  const said = new Set(texts.flatMap((source) => all(source, /'([a-z]+(?:\.[a-z_-]+)+)'/g)))
  const patterns = texts
    .flatMap((source) => all(source, /`([a-z]+\.[a-z_.-]*\$\{[^`]*)`/g))
    .map((template) => new RegExp(`^${template.replaceAll('.', '\\.').replace(/\$\{[^}]*\}/g, '[a-z_-]+')}$`))
  return { said, patterns }
}
