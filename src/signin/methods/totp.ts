import { generateSecret, generateURI, verifySync } from 'otplib'
import { encode } from 'uqr'
import { z } from 'zod'
import * as credentials from '../../directory/credentials.ts'
import { brandOf } from '../../directory/outbox.ts'
import { plainCode } from '../../platform/digits.ts'
import { codeField } from '../form.ts'
import { type Enrolling, type Enrolment, heldOf, type Method } from './method.ts'

/** The seed, sealed for its owner, and the last 30-second step whose code was taken. */
const saved = z.object({ sealed: z.string(), step: z.number() })
const begun = z.object({ sealed: z.string() })
const nothing = z.object({})

/** Seconds; a code of the step before or after is taken too (RFC 6238 section 5.2). */
const period = 30
const digits = 6

/** Asks for a code of an authenticator; whoever already has one gets no second. */
const enrol: Enrolment<z.infer<typeof begun>> = {
  begun,
  begin: async (at) => ({ sealed: at.scene.services.keyring.seal(generateSecret({ length: 20 }), ownerOf(at)) }),

  form: (at, { sealed }, error) => {
    const secret = at.scene.services.keyring.open(sealed, ownerOf(at))
    const label = at.user.identifiers[0]?.typed ?? at.user.id
    const { size, data } = encode(generateURI({ issuer: brandOf(at.scene.workspace).name, label, secret }), {
      border: 2,
    })
    return {
      fields: [codeField(digits, error)],
      submit: 'button.continue',
      show: { qr: { size, path: pathOf(data) }, secret: secret.replace(/(.{4})(?=.)/g, '$1 ') },
    }
  },

  async complete(at, answer, { sealed }) {
    const step = stepOf(at, sealed, answer.code ?? '')
    return step === undefined
      ? { ok: false, why: 'wrong' }
      : { ok: true, credential: { kind: totp.name, data: { sealed, step } } }
  },
}

/** A code that an authenticator makes of the time (RFC 6238). It works once, whichever door it is brought to. */
export const totp: Method<z.infer<typeof nothing>, z.infer<typeof saved>, z.infer<typeof begun>> = {
  name: 'totp',
  amr: 'otp',
  factors: ['possession'],
  guarded: true,
  saved,
  pending: nothing,
  offered: ({ subject }) => subject.is === 'user' && heldOf(subject.user, totp).length > 0,
  form: (_at, _pending, error) => ({ fields: [codeField(digits, error)], submit: 'button.sign_in' }),

  async verify({ scene, pool, subject }, answer) {
    if (subject.is !== 'user') return { ok: false, why: 'wrong' }
    const { user } = subject
    const { db, clock } = scene.services
    for (const { id, data } of heldOf(user, totp)) {
      const step = stepOf({ scene, pool, user }, data.sealed, answer.code ?? '')
      const used = step !== undefined && (await credentials.useStep(db, clock.now(), pool.id, user.id, { id, step }))
      if (used) return { ok: true, evidence: {} }
    }
    return { ok: false, why: 'wrong' }
  },
  enrol,
}

type Owner = Pick<Enrolling, 'scene' | 'pool' | 'user'>

/** A seed opens for its owner only, wherever the row of it is copied to. */
const ownerOf = ({ pool, user }: Pick<Owner, 'pool' | 'user'>): string => `totp ${pool.id} ${user.id}`

/** The step that a code belongs to, of the three that are good now. */
const stepOf = (owner: Owner, sealed: string, typed: string): number | undefined => {
  const { keyring, clock } = owner.scene.services
  const token = plainCode(typed)
  if (!/^\d{6}$/.test(token)) return undefined
  const epoch = Math.floor(clock.now().getTime() / 1000)
  const secret = keyring.open(sealed, ownerOf(owner))
  const result = verifySync({ strategy: 'totp', secret, token, epoch, period, epochTolerance: period })
  return result.valid && 'timeStep' in result ? result.timeStep : undefined
}

/** The dark squares of a QR code, as the path of an SVG. */
const pathOf = (rows: boolean[][]): string =>
  rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
