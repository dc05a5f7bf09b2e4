import { z } from 'zod'
import type { Identifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'
import { misconfigured, unavailable } from './asking.ts'
import { type HttpUser, httpUser, isAbout, outsiderOf } from './http-user.ts'
import type { Checked, Found, Trouble } from './source.ts'

const user = httpUser

/** What a script may say instead of a user or nothing (docs/custom-source.md). */
const said = z.discriminatedUnion('result', [
  z.strictObject({ result: z.enum(['ok', 'must_change', 'mfa_required']), user }),
  z.strictObject({ result: z.literal('must_reset'), user: user.nullish() }),
  z.strictObject({ result: z.enum(['invalid', 'not_found', 'blocked', 'misconfigured', 'unavailable']) }),
  z.strictObject({ result: z.literal('rate_limited'), retry_after: z.number().min(0).max(3600).nullish() }),
])

interface Asked {
  identifier: Identifier
  tenantField: string | undefined
}

/** What a script's `check` said of a password. Whatever is not understood is `unavailable`, and never `invalid`. */
export const readCheck = (output: unknown, asked: Asked): Checked => read(output, 'invalid', asked)

/** What a script's `find` said of an identifier: the same, of which it can use only a part. */
export const readFind = (output: unknown, asked: Asked): Found => {
  const answer = read(output, 'not_found', asked)
  switch (answer.is) {
    case 'ok':
    case 'must_change':
    case 'mfa_required':
    case 'must_reset':
      return answer.user ? { is: 'ok', user: answer.user } : strange('find')
    case 'invalid':
      return strange('find')
    case 'not_found':
    case 'blocked':
      return { is: answer.is }
    default:
      return answer
  }
}

const read = (output: unknown, nothing: 'invalid' | 'not_found', asked: Asked): Checked => {
  if (output === null) return { is: nothing }
  if (typeof output !== 'object') return strange('check and find')
  return 'result' in output ? readSaid(output, asked) : readUser(output, asked)
}

const readUser = (output: object, asked: Asked): Checked => {
  const told = user.safeParse(output)
  return told.success ? about(grade(told.data), told.data, asked) : wrong(told.error)
}

const readSaid = (output: object, asked: Asked): Checked => {
  const told = said.safeParse(output)
  if (!told.success) return wrong(told.error)
  const { data } = told
  switch (data.result) {
    case 'rate_limited':
      return { is: data.result, detail: 'The script said that it was asked too often', ...wait(data.retry_after) }
    case 'misconfigured':
      return misconfigured('The script said that it is not set up right')
    case 'unavailable':
      return unavailable('The script said that it cannot tell now')
    case 'must_reset':
      return data.user ? about(data.result, data.user, asked) : { is: data.result, user: undefined }
    case 'ok':
    case 'must_change':
    case 'mfa_required':
      return about(data.result, data.user, asked)
    default:
      return { is: data.result }
  }
}

/** A second factor there must not be lost over a password that has to change, so it comes first. */
const grade = ({ mfa, must_change }: HttpUser): 'ok' | 'must_change' | 'mfa_required' => {
  if (mfa) return 'mfa_required'
  return must_change ? 'must_change' : 'ok'
}

const about = (
  is: 'ok' | 'must_change' | 'mfa_required' | 'must_reset',
  told: HttpUser,
  { identifier, tenantField }: Asked,
): Checked => {
  const outsider: Outsider = outsiderOf(told, tenantField)
  return isAbout(identifier, outsider) ? { is, user: outsider } : unavailable('The script answered about somebody else')
}

const wait = (seconds: number | null | undefined): { retryAfter?: number } =>
  typeof seconds === 'number' ? { retryAfter: seconds } : {}

const strange = (what: string): Trouble => unavailable(`The script did not answer with what is expected of ${what}`)

/** Says where an answer is wrong; never what was there. */
const wrong = ({ issues }: z.ZodError): Trouble =>
  unavailable(`The script's answer is wrong at ${issues[0]?.path.join('.').slice(0, 100) || 'its beginning'}`)
