import { emailCode } from './email-code.ts'
import { magicLink } from './magic-link.ts'
import type { Method } from './method.ts'
import { passkey } from './passkey.ts'
import { password } from './password.ts'
import { recoveryCode } from './recovery-code.ts'
import { smsCode } from './sms-code.ts'
import { totp } from './totp.ts'

/** Every way to prove who you are. */
const methods: Record<string, Method> = {
  [password.name]: password as Method,
  [emailCode.name]: emailCode as Method,
  [smsCode.name]: smsCode as Method,
  [magicLink.name]: magicLink as Method,
  [totp.name]: totp as Method,
  [passkey.name]: passkey as Method,
  [recoveryCode.name]: recoveryCode as Method,
}

/** The names that pools may list. */
export const methodNames: readonly string[] = Object.keys(methods)

/** A method by the name that pools list it under; throws on a name that no list allows. */
export const getMethod = (name: string): Method => {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  if (!method) throw new Error(`No sign-in method is called "${name}".`)
  return method
}
