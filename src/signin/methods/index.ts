import { emailCode } from './email-code.ts'
import type { Method } from './method.ts'
import { password } from './password.ts'

/** Every way to prove who you are. */
const methods: Record<string, Method> = {
  [password.name]: password as Method,
  [emailCode.name]: emailCode as Method,
}

/** A method by the name that pools list it under; throws on a name that no list allows. */
export const getMethod = (name: string): Method => {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  if (!method) throw new Error(`No sign-in method is called "${name}".`)
  return method
}
