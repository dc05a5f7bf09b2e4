import { fileURLToPath } from 'node:url'
import { startTestServer } from '../src/db/testing.ts'

let stop: () => Promise<void> = async () => {}
let stopping: Promise<void> | undefined

/**
 * For `node --test --test-global-setup`: one PostgreSQL for the whole run, whose address the test processes inherit, and
 * a folder where they and the programs they start keep what was compiled, which halves the time that loading takes.
 */
export const globalSetup = async (): Promise<void> => {
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url))
  if (process.env.LIDO_TEST_PG_URL) return
  const server = await startTestServer()
  stop = server.stop
  process.env.LIDO_TEST_PG_URL = server.url
}

/** Called twice where the run is interrupted. */
export const globalTeardown = (): Promise<void> => {
  stopping ??= stop()
  return stopping
}
