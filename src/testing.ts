import { type Config, readConfig } from './config.ts'
import { testDatabase } from './db/testing.ts'
import type { Clock } from './platform/clock.ts'
import type { Pace } from './platform/http/pace.ts'
import { openLog } from './platform/log.ts'
import { type Running, start } from './start.ts'

/** The whole program on a database of its own, as tests meet it. */
export interface TestLido extends Running {
  /** Every line that was logged. */
  lines: string[]
  /** Every statement since `statements.length` was last set. */
  statements: string[]
  /** Waits for the newest message to somebody, sent after `since` of them were there. */
  message(
    to: string,
    since?: number,
  ): Promise<{ subject: string; text: string; html: string; code: string; link: string }>
}

/** Starts the program for a test file: loopback only, any port, debug log kept in memory. */
export const testLido = async (
  env: Record<string, string> = {},
  options: { clock?: Clock; pace?: Pace; config?: (config: Config) => Config } = {},
): Promise<TestLido> => {
  const database = await testDatabase()
  const lines: string[] = []
  const statements: string[] = []
  const log = openLog({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const read = readConfig({
    NODE_ENV: 'test',
    PORT: '0',
    HOST: '127.0.0.1',
    DATABASE_URL: database.url,
    SECRETS: 'a-secret-that-only-this-test-knows-0123456789',
    ...env,
  })
  const config = options.config ? options.config(read) : read
  const onStatement = (text: string) => statements.push(text)
  const running = await start(config, {
    log,
    onStatement,
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.pace ? { pace: options.pace } : {}),
  })
  return {
    ...running,
    lines,
    statements,
    message: (to, since = 0) => waitForMessage(running.url, to, since),
    stop: async () => {
      await running.stop()
      await database.close()
    },
  }
}

const waitForMessage = async (url: string, to: string, since: number) => {
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    const response = await fetch(`${url}/dev/inbox.json?to=${encodeURIComponent(to)}`)
    const messages = (await response.json()) as Awaited<ReturnType<TestLido['message']>>[]
    if (messages.length > since && messages[0]) return messages[0]
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  throw new Error(`No message came to ${to}.`)
}
