import { readConfig } from '../src/config.ts'
import { openPasswords, type Passwords } from '../src/platform/passwords.ts'
import { start } from '../src/start.ts'
import { answerParent, type Question, usageOf, type Verifies } from './channel.ts'
import { fixture } from './fixture.ts'
import { profile } from './profile.ts'

/** Lido as in production, counted and switched by main.ts; it is configured by its environment. */
let statements = 0
let hashing = true
let texts: Set<string> | undefined

const real = openPasswords({})
const passwords: Passwords = {
  ...real,
  verify: (hash, password) =>
    hashing ? real.verify(hash, password) : Promise.resolve(hash !== undefined && password === fixture.password),
}

const verify = async (milliseconds: number): Promise<Verifies> => {
  const hash = await real.hash(fixture.password)
  const cpu = usageOf(0).cpu
  const began = performance.now()
  let count = 0
  for (; performance.now() - began < milliseconds; count += 1) await real.verify(hash, fixture.password)
  return { perSecond: (count / (performance.now() - began)) * 1000, cpuEach: (usageOf(0).cpu - cpu) / count }
}

const answer = async (question: Question) => {
  switch (question.ask) {
    case 'usage':
      return usageOf(statements)
    case 'hash':
      hashing = question.on
      return true
    case 'verifies':
      return verify(question.milliseconds)
    case 'collect':
      for (let round = 0; round < 3; round += 1) globalThis.gc?.()
      return true
    case 'texts': {
      const said = [...(texts ?? [])]
      texts = new Set()
      return said
    }
    case 'profile':
      await profile(question.file)
      return true
  }
}

const onStatement = (text: string) => {
  statements += 1
  texts?.add(text)
}
await start(readConfig(), { passwords, onStatement })
answerParent(answer)
